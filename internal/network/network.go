// Package network has what the clients of Panther and of Secrets Manager share:
// how their connections are set up, and what is said of one that failed.
package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// bufferSize, in bytes, holds an ordinary request. A rotation makes about twenty
// connections before the first garbage collection.
const bufferSize = 1 << 10

// Configure sets t up for a function whose process Lambda freezes between two
// events. Each call gets a connection of its own: one that was kept may be dead
// after a freeze. And net/http quotes in the log what comes in on an idle
// connection, such as the rest of an answer with a wrong Content-Length.
func Configure(t *http.Transport) {
	t.DisableKeepAlives = true
	t.ReadBufferSize, t.WriteBufferSize = bufferSize, bufferSize
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode != http.StatusOK {
			return &proxyRefusal{answer.StatusCode}
		}
		return nil
	}
}

// proxyRefusal is a proxy's answer to CONNECT. Its text could quote a password.
type proxyRefusal struct{ status int }

func (e *proxyRefusal) Error() string {
	return fmt.Sprintf("the proxy refused the connection (HTTP status %d)", e.status)
}

// CertificateRejected is what [Describe] says of a server's certificate that no
// trusted authority signed.
const CertificateRejected = "the TLS certificate was not accepted"

// Describe says why there was no answer, or otherwise if it cannot tell. It
// names the kind of failure only: the text of a network error can quote what
// the other side sent.
func Describe(err error, otherwise string) string {
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		network     *net.OpError
		proxy       *proxyRefusal
		timeout     interface{ Timeout() bool }
	)
	host := "the host"
	if errors.As(err, &network) && network.Op == "proxyconnect" {
		host = "the proxy's host"
	}
	switch {
	case errors.As(err, &proxy):
		return proxy.Error()
	case errors.As(err, &dns):
		return host + " name could not be resolved"
	case errors.Is(err, syscall.ECONNREFUSED) && network != nil && network.Op == "proxyconnect":
		return "the proxy's host refused the connection"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &certificate):
		return CertificateRejected
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record), network != nil && network.Op == "remote error": // a TLS alert
		return "no TLS connection"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return otherwise + " (timeout)"
	case errors.Is(err, syscall.ECONNRESET):
		return otherwise + " (reset)"
	}
	return otherwise
}
