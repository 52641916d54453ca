package panther

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
)

func quote(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatAnAnswerWithoutATokenMeans(t *testing.T) {
	const (
		anyError   = `{"data":null,"errors":[{"message":"boom","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`
		validation = `{"errors":[{"message":"Cannot query field","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`
		page       = `<!DOCTYPE html><html><body>Sign in</body></html>`
	)
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    rotation.Answer
	}{
		"401":                 {says(401, "application/json", anyError), rotation.Unauthorized},
		"401 page":            {says(401, "text/html", page), rotation.Unauthorized},
		"401 empty":           {says(401, "", ""), rotation.Unauthorized},
		"401 cut off":         {raw(t, "HTTP/1.1 401 No\r\nContent-Length: 99\r\n\r\n{", false), rotation.Unauthorized},
		"403":                 {says(403, "application/json", `{"error":"forbidden"}`), rotation.Unauthorized},
		"403 page":            {says(403, "text/html", page), rotation.Unauthorized},
		"403 with validation": {says(403, "application/json", validation), rotation.Unauthorized},

		// Said of the path, whoever asks.
		"403 unknown route":              {unknownRoute(403, "MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`), rotation.Misconfigured},
		"403 unknown route, header only": {unknownRoute(403, "MissingAuthenticationTokenException:http://internal.amazon.com/", ``), rotation.Misconfigured},
		"403 unknown route, body only":   {unknownRoute(403, "", `{"message":"Missing Authentication Token"}`), rotation.Misconfigured},
		"403 unknown route, capitals":    {unknownRoute(403, "", "\ufeff"+`{"Message":"MISSING AUTHENTICATION TOKEN "}`), rotation.Misconfigured},
		"401 unknown route":              {unknownRoute(401, "MissingAuthenticationTokenException", `{}`), rotation.Misconfigured},
		"403 from an authorizer":         {unknownRoute(403, "AccessDeniedException", `{"Message":"User is not authorized to access this resource"}`), rotation.Unauthorized},
		"403 forbidden key":              {unknownRoute(403, "ForbiddenException", `{"message":"Forbidden"}`), rotation.Unauthorized},
		"403 message of another form":    {unknownRoute(403, "", `{"message":{"text":"Missing Authentication Token"}}`), rotation.Unauthorized},

		"429":      {says(429, "application/json", anyError), rotation.Throttled},
		"429 page": {says(429, "text/html", page), rotation.Throttled},

		"400":                           {says(400, "application/json", anyError), rotation.Misconfigured},
		"400 validation":                {says(400, "application/json", validation), rotation.Misconfigured},
		"404":                           {says(404, "text/plain", "not found"), rotation.Misconfigured},
		"404 page":                      {says(404, "text/html", page), rotation.Misconfigured},
		"405":                           {says(405, "", ""), rotation.Misconfigured},
		"410":                           {says(410, "", ""), rotation.Misconfigured},
		"200 page":                      {says(200, "text/html; charset=utf-8", page), rotation.Misconfigured},
		"200 page, in capitals":         {says(200, "TEXT/HTML", "Sign in"), rotation.Misconfigured},
		"200 page unlabelled":           {says(200, "application/json", "\n "+page), rotation.Misconfigured},
		"200 validation":                {json200(validation), rotation.Misconfigured},
		"200 validation, compressed":    {compressed("gzip", encoders["gzip"](validation)), rotation.Misconfigured},
		"200 validation, no label":      {compressed("", encoders["zlib"](validation)), rotation.Misconfigured},
		"200 validation, labelled only": {compressed("gzip", validation), rotation.Misconfigured},
		"200 page, compressed":          {compressed("gzip", encoders["gzip"](page)), rotation.Misconfigured},
		"200 parse error":               {json200(`{"data":null,"errors":[{"extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]}`), rotation.Misconfigured},
		"200 validation, second error":  {json200(`{"errors":[{"message":"x"},{"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`), rotation.Misconfigured},
		"300":                           {says(300, "text/html", page), rotation.Misconfigured},
		"304":                           {says(304, "", ""), rotation.Misconfigured},

		// Of all the rest, nobody knows whether it came before or after.
		"408":                                 {says(408, "text/html", page), rotation.Ambiguous},
		"500":                                 {says(500, "application/json", anyError), rotation.Ambiguous},
		"500 validation":                      {says(500, "application/json", validation), rotation.Ambiguous},
		"502 page":                            {says(502, "text/html", page), rotation.Ambiguous},
		"503":                                 {says(503, "", ""), rotation.Ambiguous},
		"504 page":                            {says(504, "text/html", page), rotation.Ambiguous},
		"599":                                 {says(599, "", ""), rotation.Ambiguous},
		"200 empty":                           {json200(""), rotation.Ambiguous},
		"204":                                 {says(204, "", ""), rotation.Ambiguous},
		"200 object":                          {json200("{}"), rotation.Ambiguous},
		"200 other JSON":                      {json200(`{"message":"ok"}`), rotation.Ambiguous},
		"200 list":                            {json200("[1]"), rotation.Ambiguous},
		"200 null":                            {json200("null"), rotation.Ambiguous},
		"200 number":                          {json200("7"), rotation.Ambiguous},
		"200 text":                            {says(200, "text/plain", "ok"), rotation.Ambiguous},
		"200 broken JSON":                     {json200(`{"data":}`), rotation.Ambiguous},
		"200 two objects":                     {json200(`{}{}`), rotation.Ambiguous},
		"200 errors":                          {json200(anyError), rotation.Ambiguous},
		"200 odd errors":                      {json200(`{"errors":"boom"}`), rotation.Ambiguous},
		"200 odd code":                        {json200(`{"errors":[{"extensions":{"code":7}}]}`), rotation.Ambiguous},
		"200 null errors":                     {json200(`{"errors":[null]}`), rotation.Ambiguous},
		"200 no data":                         {json200(`{"data":null}`), rotation.Ambiguous},
		"200 JSON labelled as a page":         {says(200, "text/html", anyError), rotation.Ambiguous},
		"200 validation next to data":         {json200(`{"data":{"rotateAPIToken":{"token":null}},"errors":[{"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`), rotation.Ambiguous},
		"202 accepted":                        {says(202, "application/json", `{"data":{}}`), rotation.Ambiguous},
		"200 errors that speak of validation": {json200(`{"errors":[{"message":"GRAPHQL_VALIDATION_FAILED"}]}`), rotation.Ambiguous},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, api(t, tc.handler), time.Minute, func(t *testing.T, answer *rotation.AnswerError) {
				if answer.Answer != tc.want {
					t.Errorf("got %v %q, want %v", answer.Answer, answer.Summary, tc.want)
				}
				if !strings.HasPrefix(answer.Summary, "HTTP status "+name[:3]) {
					t.Errorf("the status is not in %q", answer.Summary)
				}
			})
		})
	}
}

// compressed answers with this label, right or wrong.
func compressed(label, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", label)
		json200(body)(w, r)
	}
}

// unknownRoute answers as API Gateway does, with its own header for the type of
// error.
func unknownRoute(status int, errorType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", errorType)
		says(status, "application/json", body)(w, r)
	}
}

func TestRetryAfterIsHonouredInBothForms(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"7":                              7 * time.Second,
		" 7 ":                            7 * time.Second,
		"-7":                             0,
		"7.5":                            0,
		"soon":                           0,
		"86400":                          24 * time.Hour,
		"86401":                          24 * time.Hour,
		"9223372036854775807":            24 * time.Hour,
		"99999999999999999999":           0,
		"Sun, 01 Mar 2026 12:00:30 GMT":  30 * time.Second,
		"Sunday, 01-Mar-26 12:00:30 GMT": 30 * time.Second, // the two forms that are obsolete
		"Sun Mar  1 12:00:30 2026":       30 * time.Second,
		"Sun, 01 Mar 2026 11:59:30 GMT":  0,
		"Fri, 31 Dec 9999 23:59:59 GMT":  24 * time.Hour,
		"2026-03-01T12:00:30Z":           0,
	} {
		if got := parseRetryAfter(header, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", header, got, want)
		}
	}
	issuer := api(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "11")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	both(t, issuer, time.Minute, func(t *testing.T, answer *rotation.AnswerError) {
		if answer.RetryAfter != 11*time.Second {
			t.Errorf("the wait is %v", answer.RetryAfter)
		}
	})
}

func TestOfAKeyThatIsThereTwiceTheFirstCounts(t *testing.T) {
	got, ok := stringAt([]byte(`{"data":{"value":"first"},"data":{"value":"second"}}`), "data", "value")
	if !ok || got != "first" {
		t.Errorf("got %q, %v", got, ok)
	}
}

// ownWords is everything that classify may say of an answer.
var ownWords = regexp.MustCompile(`^HTTP status [0-9]{3}(|, API Gateway's answer to a path that it does not have; check the path of PANTHER_API_URL|, a redirect, which is not followed because the token would go along| with a web page| with an answer that was cut off| with an answer that is not GraphQL| with a GraphQL validation error: the API's schema is not the one that was expected| with GraphQL errors| without the data that was asked for)$`)

func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		rotated,
		rotated[:len(rotated)-9],
		`{"errors":[{"message":"m","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}],"data":null}`,
		`{"data":{"rotateAPIToken":{"token":{"value":""}}}}`,
		`{"data":{"rotateAPIToken":{"token":{"value":7}}}}`,
		`{"data":{"rotateAPIToken":null}}`,
		`{"data":{},"data":{"rotateAPIToken":{"token":{"value":"x"}}}}`,
		`<html></html>`, `[]`, `null`, `"`, ``,
	} {
		for _, status := range []int{200, 202, 302, 400, 401, 403, 408, 429, 500} {
			f.Add(status, "application/json", "1", []byte(body), status == 202)
		}
		f.Add(200, "text/html; charset=utf-8", "Fri, 31 Dec 9999 23:59:59 GMT", []byte(body), false)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, retryAfter string, body []byte, cutOff bool) {
		if status < 100 || status > 999 {
			return // net/http takes no other
		}
		a := &answer{status: status, header: http.Header{"Content-Type": {contentType}, "Retry-After": {retryAfter}}, body: body}
		if cutOff {
			a.err = io.ErrUnexpectedEOF
		}

		explained := a.classify()
		if !ownWords.MatchString(explained.Summary) {
			t.Errorf("explained as %q, which may quote the answer", explained.Summary)
		}
		switch refused, throttled := (status == 401 || status == 403) && !a.isUnknownRoute(), status == 429; {
		case explained.Answer == rotation.NotSent,
			refused != (explained.Answer == rotation.Unauthorized),
			throttled != (explained.Answer == rotation.Throttled),
			status >= 500 && explained.Answer != rotation.Ambiguous:
			t.Errorf("status %d was taken for %v", status, explained.Answer)
		}
		if explained.RetryAfter < 0 || explained.RetryAfter > 24*time.Hour || explained.RetryAfter > 0 && status != 429 {
			t.Errorf("a wait of %v after status %d", explained.RetryAfter, status)
		}

		got, ok := stringAt(body, "data", "rotateAPIToken", "token", "value")
		if !ok && got != "" {
			t.Errorf("no string, but %q", got)
		}
		// encoding/json has the last word where it has one: on whole JSON, in
		// which no key is there twice.
		if !json.Valid(body) || repeatsKey(json.NewDecoder(bytes.NewReader(body))) {
			return
		}
		want, there := lookUp(body)
		if ok != there || got != want {
			t.Errorf("found %q, %v where encoding/json has %q, %v", got, ok, want, there)
		}
	})
}

// lookUp finds the token by way of maps, whose keys, other than a struct's
// fields, are told apart by upper and lower case.
func lookUp(body []byte) (string, bool) {
	var value any
	if json.Unmarshal(body, &value) != nil {
		return "", false
	}
	for _, key := range []string{"data", "rotateAPIToken", "token", "value"} {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	s, ok := value.(string)
	return s, ok
}

// repeatsKey reads one value and reports whether an object in it has a key
// twice.
func repeatsKey(dec *json.Decoder) bool {
	open, err := dec.Token()
	if err != nil || open != json.Delim('{') && open != json.Delim('[') {
		return false
	}
	seen := map[json.Token]bool{}
	for dec.More() {
		if open == json.Delim('{') {
			key, err := dec.Token()
			if err != nil {
				return false
			}
			if seen[key] {
				return true
			}
			seen[key] = true
		}
		if repeatsKey(dec) {
			return true
		}
	}
	_, _ = dec.Token()
	return false
}
