package panther

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
)

// request is one on its way through the API.
type request struct {
	api         *API
	token       string
	method      string
	contentType string
	body        []byte
	bodyErr     error
	issued      string // the value that this request made, if it did
}

// answer is what goes back.
type answer struct {
	status int
	header map[string]string
	body   []byte
	// length is what the header Content-Length says; more than the body has
	// makes net/http cut the connection behind it.
	length int
}

func jsonAnswer(status int, body any) answer {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		panic(err)
	}
	return answer{
		status: status,
		header: map[string]string{"Content-Type": "application/json"},
		body:   text.Bytes(),
		length: text.Len(),
	}
}

// plainError is an error of whatever stands before GraphQL, in the form of API
// Gateway's.
func plainError(status int, message string) answer {
	return jsonAnswer(status, map[string]string{"message": message})
}

// errorList is one error in the form that GraphQL prescribes
// (https://spec.graphql.org/October2021/#sec-Errors), with the code that Apollo
// Server and others after it put in.
func errorList(message, code string) []any {
	return []any{map[string]any{"message": message, "extensions": map[string]string{"code": code}}}
}

func (a answer) send(w http.ResponseWriter) {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Length", strconv.Itoa(a.length))
	w.WriteHeader(a.status)
	// Whoever does not wait for the answer has no one to be told.
	_, _ = w.Write(a.body)
}

// message adds the caller's token to an error text if the API is one that does.
func (q *request) message(text string) string {
	if q.api.options.EchoToken && q.token != "" {
		return text + " (X-API-Key: " + q.token + ")"
	}
	return text
}

// answer carries the request out.
func (q *request) answer() answer {
	if reply, refused := q.refused(); refused {
		return reply
	}
	if q.method != http.MethodPost {
		wrongMethod := plainError(http.StatusMethodNotAllowed, q.message("Method Not Allowed"))
		wrongMethod.header["Allow"] = http.MethodPost
		return wrongMethod
	}
	if mediaType, _, err := mime.ParseMediaType(q.contentType); err != nil || mediaType != "application/json" {
		return plainError(http.StatusUnsupportedMediaType, q.message("Unsupported Media Type"))
	}
	var tooLarge *http.MaxBytesError
	if errors.As(q.bodyErr, &tooLarge) {
		return plainError(http.StatusRequestEntityTooLarge, q.message("Request Too Long"))
	}
	reply, ok := (&run{request: q}).execute()
	if !ok {
		return jsonAnswer(http.StatusBadRequest, map[string]any{
			"errors": errorList(q.message("the body is not a GraphQL request in JSON"), "BAD_REQUEST"),
		})
	}
	return q.executed(reply)
}

// refused is what stands before every part of the API: a rate limit, and the
// token.
func (q *request) refused() (answer, bool) {
	if q.api.throttles() {
		throttled := plainError(http.StatusTooManyRequests, q.message("Too Many Requests"))
		throttled.header["Retry-After"] = "1"
		return throttled, true
	}
	return q.refusal(), q.api.Status(q.token) != Living
}

func (q *request) refusal() answer {
	if q.api.options.ForbiddenInsteadOf401 {
		return plainError(http.StatusForbidden, q.message("Forbidden"))
	}
	return plainError(http.StatusUnauthorized, q.message("Unauthorized"))
}
