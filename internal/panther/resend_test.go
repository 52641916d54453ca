package panther

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// Types of HTTP/2 frames (https://www.rfc-editor.org/rfc/rfc9113#section-6).
const (
	frameData      = 0
	frameRSTStream = 3
	frameSettings  = 4
)

// TestARequestIsSentOnce has a server take the whole mutation and then reset the
// stream with PROTOCOL_ERROR, after which net/http would send it again by itself,
// as often as that happens.
func TestARequestIsSentOnce(t *testing.T) {
	template := httptest.NewTLSServer(http.NotFoundHandler())
	certificate, root := template.TLS.Certificates[0], template.Certificate()
	template.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	var arrived atomic.Int64
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			resetStreams(conn, &arrived)
		}
	}()

	roots := x509.NewCertPool()
	roots.AddCert(root)
	issuer := New(&url.URL{Scheme: "https", Host: listener.Addr().String(), Path: "/public/graphql"}, "test/1")
	issuer.transport.TLSClientConfig = &tls.Config{RootCAs: roots, ServerName: "example.com"}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err = issuer.Rotate(ctx, secret.NewText("a-token"))
	_ = listener.Close()
	<-served

	if arrived.Load() != 1 {
		t.Errorf("one call sent the mutation %d times", arrived.Load())
	}
	if answer, ok := errors.AsType[*rotation.AnswerError](err); !ok || answer.Answer != rotation.Ambiguous {
		t.Errorf("got %v, want an unclear answer", err)
	}
}

// resetStreams reads HTTP/2 frames and resets each stream when its request is
// complete.
func resetStreams(conn net.Conn, arrived *atomic.Int64) {
	defer func() { _ = conn.Close() }()
	if _, err := io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	_, _ = conn.Write([]byte{0, 0, 0, frameSettings, 0, 0, 0, 0, 0})
	for {
		var header [9]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return
		}
		length := int64(header[0])<<16 | int64(header[1])<<8 | int64(header[2])
		if _, err := io.CopyN(io.Discard, conn, length); err != nil {
			return
		}
		const endStream = 1
		if header[3] == frameData && header[4]&endStream != 0 {
			arrived.Add(1)
			reset := []byte{0, 0, 4, frameRSTStream, 0}
			reset = binary.BigEndian.AppendUint32(reset, binary.BigEndian.Uint32(header[5:]))
			const protocolError = 1
			_, _ = conn.Write(binary.BigEndian.AppendUint32(reset, protocolError))
		}
	}
}
