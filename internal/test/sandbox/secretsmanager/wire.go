package secretsmanager

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// epoch is a time as AWS JSON 1.1 writes it: seconds since 1970, to the
// millisecond.
type epoch time.Time

func (e epoch) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Time(e).UnixMilli()) / 1000)
}

// stamp returns nil for the zero time, so that the member is left out.
func stamp(t time.Time) *epoch {
	if t.IsZero() {
		return nil
	}
	e := epoch(t)
	return &e
}

// maxRequest bounds a request, in bytes: the largest value, escaped, and more.
const maxRequest = 1 << 20

// operation decodes its input, acts and returns its output. The server's lock is
// held.
type operation func(s *Server, call *Call, input []byte) (any, *apiError)

// decoded makes an operation of a function with a typed input.
func decoded[Input any](act func(s *Server, call *Call, in Input) (any, *apiError)) operation {
	return func(s *Server, call *Call, input []byte) (any, *apiError) {
		var in Input
		decoder := json.NewDecoder(bytes.NewReader(input))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			if _, field, ok := strings.Cut(err.Error(), "unknown field "); ok {
				return nil, errNoParameter(call.Operation, field)
			}
			return nil, errNotJSON()
		}
		return act(s, call, in)
	}
}

var operations map[string]operation

func init() {
	operations = map[string]operation{
		"CreateSecret":             decoded((*Server).createSecret),
		"DescribeSecret":           decoded((*Server).describeSecret),
		"GetSecretValue":           decoded((*Server).getSecretValue),
		"PutSecretValue":           decoded((*Server).putSecretValue),
		"UpdateSecretVersionStage": decoded((*Server).updateSecretVersionStage),
		"ListSecretVersionIds":     decoded((*Server).listSecretVersionIDs),
		"ListSecrets":              decoded((*Server).listSecrets),
		"DeleteSecret":             decoded((*Server).deleteSecret),
		"RestoreSecret":            decoded((*Server).restoreSecret),
		"RotateSecret":             decoded((*Server).rotateSecret),
		"CancelRotateSecret":       decoded((*Server).cancelRotateSecret),
	}
}

func operationNames() []string { return slices.Sorted(maps.Keys(operations)) }

// ServeHTTP answers one request of the AWS JSON 1.1 protocol
// (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	name := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	call := Call{Time: started, UserAgent: r.UserAgent(), Operation: name}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		reply(w, nil, errTooLarge())
		return
	}
	if err != nil {
		return // the caller went away
	}
	var named struct{ SecretId string }
	_ = json.Unmarshal(body, &named)
	call.SecretID = named.SecretId

	output, failure := s.answer(r, &call, name, body)
	call.Duration = time.Since(started)
	if failure != nil {
		call.ErrorCode = failure.kind
	}
	if s.options.OnCall != nil {
		s.options.OnCall(call)
	}
	if failure != nil && failure.status == dropConnection {
		panic(http.ErrAbortHandler)
	}
	reply(w, output, failure)
}

func reply(w http.ResponseWriter, output any, failure *apiError) {
	status := http.StatusOK
	if failure != nil {
		status = failure.status
		output = map[string]string{"__type": failure.kind, "Message": failure.message, "message": failure.message}
		w.Header().Set("X-Amzn-ErrorType", failure.kind)
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(output); err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-RequestId", NewID())
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// answer checks the request, lets a quirk or a fault have its way, and runs the
// operation.
func (s *Server) answer(r *http.Request, call *Call, name string, body []byte) (any, *apiError) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=") {
		return nil, errNotSigned()
	}
	act, known := operations[name]
	if !known || r.Method != http.MethodPost {
		return nil, errUnknownOperation(name)
	}
	if n := s.requests.Add(1); s.options.ThrottleEvery > 0 && n%int64(s.options.ThrottleEvery) == 0 {
		return nil, errThrottled()
	}
	var fault *Fault
	if s.options.Fault != nil {
		fault = s.options.Fault(name, call.SecretID)
	}
	if fault != nil && !fault.AfterEffect {
		return nil, fault.strike(r, s.life.Done())
	}
	s.mu.Lock()
	output, failure := act(s, call, body)
	s.unlockAndTell()
	if fault != nil {
		return nil, fault.strike(r, s.life.Done())
	}
	return output, failure
}

// dropConnection is the status of an answer that never comes.
const dropConnection = -1

// strike is the fault's answer. It hangs until the caller gives up, or closed is.
func (f *Fault) strike(r *http.Request, closed <-chan struct{}) *apiError {
	switch {
	case f.Hang:
		select {
		case <-r.Context().Done():
		case <-closed:
		}
		return &apiError{kind: "no answer", status: dropConnection}
	case f.DropConnection:
		return &apiError{kind: "no answer", status: dropConnection}
	}
	status := f.HTTPStatus
	if status == 0 {
		status = http.StatusInternalServerError
	}
	return &apiError{f.Code, f.Message, status}
}
