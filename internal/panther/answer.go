package panther

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"panther-token-rotation/internal/network"
	"panther-token-rotation/internal/rotation"
)

// answer is what came back, if anything did. The body may be cut off; then err
// says so.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	err     error
	notSent bool
}

// classify says what an answer without a token means for the token: see
// [rotation.Answer]. Its words are our own, because the API may echo a token.
func (a *answer) classify() *rotation.AnswerError {
	switch {
	case a.status == 0 && a.notSent:
		return &rotation.AnswerError{Answer: rotation.NotSent, Summary: network.Describe(a.err, "no connection")}
	case a.status == 0:
		return &rotation.AnswerError{Answer: rotation.Ambiguous, Summary: network.Describe(a.err, "the connection broke before an answer came")}
	}

	status := "HTTP status " + strconv.Itoa(a.status)
	is := func(kind rotation.Answer, summary string) *rotation.AnswerError {
		return &rotation.AnswerError{Answer: kind, Summary: status + summary}
	}
	switch {
	case a.isUnknownRoute():
		return is(rotation.Misconfigured, ", API Gateway's answer to a path that it does not have; check the path of PANTHER_API_URL")
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return is(rotation.Unauthorized, "")
	case a.status == http.StatusTooManyRequests:
		throttled := is(rotation.Throttled, "")
		throttled.RetryAfter = parseRetryAfter(a.header.Get("Retry-After"), time.Now())
		return throttled
	case a.status == http.StatusRequestTimeout:
		// Whoever stands between may have passed the request on before.
		return is(rotation.Ambiguous, "")
	case a.status >= 300 && a.status < 400:
		return is(rotation.Misconfigured, ", a redirect, which is not followed because the token would go along")
	case a.status >= 400 && a.status < 500:
		return is(rotation.Misconfigured, "")
	case a.status >= 500:
		return is(rotation.Ambiguous, "")
	case a.isHTML():
		return is(rotation.Misconfigured, " with a web page")
	case a.err != nil:
		return is(rotation.Ambiguous, " with an answer that was cut off")
	}

	var reply struct {
		Data   json.RawMessage
		Errors []struct {
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(a.body, &reply); err != nil || reply.Data == nil && reply.Errors == nil {
		return is(rotation.Ambiguous, " with an answer that is not GraphQL")
	}
	// Where there is data, the operation was carried out after all
	// (https://spec.graphql.org/October2021/#sec-Response-Format).
	executed := bytes.HasPrefix(reply.Data, []byte("{"))
	for _, e := range reply.Errors {
		if !executed && slices.Contains([]string{"GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"}, e.Extensions.Code) {
			return is(rotation.Misconfigured, " with a GraphQL validation error: the API's schema is not the one that was expected")
		}
	}
	if len(reply.Errors) > 0 {
		return is(rotation.Ambiguous, " with GraphQL errors")
	}
	return is(rotation.Ambiguous, " without the data that was asked for")
}

// isUnknownRoute reports whether API Gateway refused the path or method, not
// the token. It has no 404 for that, but 403 with this type or message
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html,
// MISSING_AUTHENTICATION_TOKEN). Its "Forbidden" can be about the token.
func (a *answer) isUnknownRoute() bool {
	if a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
		return false
	}
	var reply struct{ Message string }
	_ = json.Unmarshal(bytes.TrimPrefix(a.body, []byte("\ufeff")), &reply) // whatever else it is, it has no message
	return strings.HasPrefix(a.header.Get("X-Amzn-ErrorType"), "MissingAuthenticationToken") ||
		strings.EqualFold(strings.TrimSpace(reply.Message), "Missing Authentication Token")
}

// isHTML reports whether a web page came. JSON that is only labelled as one
// may be Panther's.
func (a *answer) isHTML() bool {
	body := bytes.TrimSpace(a.body)
	labelled := strings.HasPrefix(strings.ToLower(a.header.Get("Content-Type")), "text/html")
	return bytes.HasPrefix(body, []byte("<")) || labelled && !bytes.HasPrefix(body, []byte("{"))
}

// parseRetryAfter reads both forms of the header
// (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after); 0 if there is
// nothing to wait for, and never more than a day.
func parseRetryAfter(header string, now time.Time) time.Duration {
	const longest = 24 * time.Hour
	if seconds, err := strconv.Atoi(strings.TrimSpace(header)); err == nil {
		return time.Duration(min(max(seconds, 0), int(longest.Seconds()))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), longest)
	}
	return 0
}

// stringAt returns the string at a path of object keys in a JSON text. It
// reads only as far as that string, so it finds one that arrived whole in an
// answer that was cut off behind it. Of a key that is there twice, it follows
// the first.
func stringAt(text []byte, path ...string) (string, bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	for depth := 0; ; {
		if open, err := dec.Token(); err != nil || open != json.Delim('{') {
			return "", false
		}
		if !seekKey(dec, path[depth]) {
			return "", false
		}
		if depth++; depth < len(path) {
			continue
		}
		value, err := dec.Token()
		s, ok := value.(string)
		return s, err == nil && ok && closes(text[dec.InputOffset():])
	}
}

// seekKey reads up to the value of key in the object that dec is in.
func seekKey(dec *json.Decoder, key string) bool {
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return false
		}
		if name == key {
			return true
		}
		var skipped json.RawMessage
		if dec.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}
