package panther

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"panther-token-rotation/internal/secret"
)

const (
	// maxAnswer bounds how much of an answer is read, in bytes. A real one has
	// a few hundred. Reading also ends with the time for the call.
	maxAnswer = 32 << 20
	// maxDecoded bounds what a compressed answer becomes. With maxAnswer it
	// fits into the 256 MB that the function has in Lambda.
	maxDecoded = 32 << 20
	// maxSearched bounds all further encodings that are undone in the search
	// of one answer, and with them its time.
	maxSearched = 16 << 20
)

// call is the transport of one operation. It adds the token, keeps the answer
// for us and hands an empty one on, so that neither the library nor
// http.Client sees anything that could hold a token, and no redirect is ever
// followed: net/http would send X-API-Key along to the other host.
type call struct {
	issuer *Issuer
	token  secret.Text
	answer answer
}

func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	// Until a connection stands, with TLS set up, nothing has been sent.
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	req = req.Clone(httptrace.WithClientTrace(req.Context(), trace))
	// Without GetBody, net/http cannot send the request a second time by itself,
	// as it would over HTTP/2 after some resets, whether it took effect or not.
	req.GetBody = nil
	req.Header.Set("X-API-Key", c.token.Reveal())
	req.Header.Set("User-Agent", c.issuer.userAgent)
	req.Header.Set("Accept", "application/json")
	// Where a caller asks for gzip itself, net/http leaves the answer as it is.
	// With a wrong Content-Encoding it would throw the answer away.
	req.Header.Set("Accept-Encoding", "gzip, identity")

	resp, err := c.issuer.transport.RoundTrip(req)
	if err != nil {
		c.answer = answer{err: err, notSent: !connected.Load()}
		return nil, errNoAnswer
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && len(body) == maxAnswer {
		err = errTooLong
	}
	body, damage := plain(body)
	if err == nil {
		err = damage
	}
	c.answer = answer{status: resp.StatusCode, header: resp.Header, body: body, err: err}
	return &http.Response{
		Status:     "200 OK",
		StatusCode: http.StatusOK,
		Proto:      resp.Proto,
		ProtoMajor: resp.ProtoMajor,
		ProtoMinor: resp.ProtoMinor,
		Header:     http.Header{},
		Body:       io.NopCloser(bytes.NewReader([]byte(`{}`))),
		Request:    req,
	}, nil
}

var (
	errNoAnswer = errors.New("no answer")
	errTooLong  = errors.New("the answer is longer than one that is read whole")
)
