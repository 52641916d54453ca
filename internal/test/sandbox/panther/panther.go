// Package panther stands in for Panther's public API: the part of it that
// token rotation and the first calls of Panther's own clients need, in memory, on a real GraphQL engine. New makes an
// http.Handler; NewToken gives it its first token. Nothing of it is for
// production: it keeps tokens in the clear, because tests have to search for
// them.
//
// What it does follows Panther's documentation
// (https://docs.panther.com/panther-developer-workflows/api). Requests are
// answered at [Path], by POST with JSON, and only with a living token in the
// header X-API-Key, introspection included. An API token has an id and a name
// that stay, and a value that rotateAPIToken replaces. The new value is shown
// once and works after [Options.PropagationDelay]; the old one ends.
//
// Four things are the sandbox's own choice, because nobody documents Panther's:
// whether the old value has a grace ([Options.OldTokenGrace]); that rotating
// with a value in its grace issues yet another value and ends the one issued
// before; that a request which arrived is carried out even if its caller has
// left; and the texts of all errors. The clock is time.Now, so that all of it
// runs in a testing/synctest bubble.
package panther

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// Path is where GraphQL answers.
	Path = "/public/graphql"
	// SelfPath is where REST describes the token that asks. It is all of
	// REST that the sandbox has.
	SelfPath = "/api-tokens/self"
)

// maxBody limits a request, in bytes. A rotation needs less than a hundred.
const maxBody = 64 << 10

// Options are the quirks of an API. The zero value is one at its best: new
// tokens work at once, old ones end at once, nothing goes wrong.
type Options struct {
	// PropagationDelay is how long a value that rotateAPIToken issued is
	// refused before it works. Panther: "There may be a propagation delay of 30
	// to 60 seconds".
	PropagationDelay time.Duration

	// OldTokenGrace is how long the rotated value goes on working. Whether
	// Panther's does is not known; without a grace and with a propagation
	// delay, neither works for a while. A second rotation does not prolong it.
	OldTokenGrace time.Duration

	// EchoToken adds the caller's token to every error message, as an API does
	// that quotes the request in its errors. For tests that look for leaks.
	EchoToken bool

	// ForbiddenInsteadOf401 refuses a token with 403, as a gateway's authorizer
	// or an IP allow-list does, which answer before Panther can say 401.
	ForbiddenInsteadOf401 bool

	// Throttle answers every n-th request with 429 and Retry-After, before its
	// token is looked at, as a gateway's rate limit does. 0 never does, 1 always.
	Throttle int

	// Fault is asked once for each request and says what goes wrong with it;
	// nil, as function or as answer, means nothing. Requests that run side by
	// side ask side by side.
	Fault func(Request) *Fault

	// OnCall is called for each request just before it is answered, by the
	// goroutine that will answer it. Nil means that nobody listens.
	OnCall func(Call)
}

// Operation is what a request asks for.
type Operation string

const (
	RotateAPIToken Operation = "rotateAPIToken"
	// Introspection asks for nothing but the schema.
	Introspection Operation = "introspection"
	// Other is everything else, also what is not valid GraphQL.
	Other Operation = "other"
)

// Request is what Options.Fault decides by.
type Request struct {
	Operation Operation
	// Token is the status of the caller's token when the request arrived.
	Token Status
}

// Call is a request that was answered. It never holds a token.
type Call struct {
	// Time of arrival.
	Time      time.Time
	UserAgent string
	Operation Operation
	// Status is the HTTP status of the answer; 0 if a fault left the caller
	// without one.
	Status int
	// Rotated reports whether a new value was issued, whatever the answer said.
	Rotated bool
}

// API is a Panther instance. It is safe for concurrent use.
type API struct {
	options Options

	mu       sync.Mutex
	tokens   []*apiToken
	calls    []Call
	requests int
}

// New makes an API without tokens.
func New(options Options) *API {
	return &API{options: options}
}

// Calls lists the requests of GraphQL so far, in the order of their answers.
func (a *API) Calls() []Call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.calls)
}

// ServeHTTP answers one request. Where a fault leaves the caller without an
// answer it panics with http.ErrAbortHandler, which net/http's server knows;
// callers without a server have to recover from it.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == SelfPath && r.Method == http.MethodGet:
		a.self(r.Header.Get("X-API-Key")).send(w)
		return
	case r.URL.Path != Path:
		missing := fmt.Sprintf("The sandbox does not have %s %s. It has POST %s and GET %s.", r.Method, r.URL.Path, Path, SelfPath)
		plainError(http.StatusNotFound, missing).send(w)
		return
	}

	arrived := time.Now()
	q := &request{api: a, token: r.Header.Get("X-API-Key"), method: r.Method, contentType: r.Header.Get("Content-Type")}
	q.body, q.bodyErr = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	operation := q.operation()

	var fault *Fault
	if a.options.Fault != nil {
		fault = a.options.Fault(Request{Operation: operation, Token: a.Status(q.token)})
	}

	var reply answer
	if fault == nil || fault.hasEffect() {
		reply = q.answer()
	}
	if fault != nil {
		reply = fault.spoil(reply, q)
	}
	a.note(Call{Time: arrived, UserAgent: r.UserAgent(), Operation: operation, Status: reply.status, Rotated: q.issued != ""})

	switch {
	case fault != nil && fault.Kind == Hang:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case fault != nil && fault.Kind == Reset:
		resetConnection(w)
	default:
		reply.send(w)
	}
}

func (a *API) note(c Call) {
	a.mu.Lock()
	a.calls = append(a.calls, c)
	a.mu.Unlock()
	if a.options.OnCall != nil {
		a.options.OnCall(c)
	}
}

// throttles counts a request and reports whether it is one too many.
func (a *API) throttles() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests++
	return a.options.Throttle > 0 && a.requests%a.options.Throttle == 0
}
