package secretsmanager_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/secretsmanager"
)

// deployed makes the Store with the HTTP client and the retries that the
// function has.
func deployed(t *testing.T, endpoint string, options ...func(*sdk.Options)) *secretsmanager.Store {
	t.Helper()
	c, err := secretsmanager.ReadAWSConfig(settings("AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", endpoint))
	if err != nil {
		t.Fatal(err)
	}
	return secretsmanager.New(secretsmanager.NewClient(c, "test/1", options...))
}

// atOnce takes the pauses out between the SDK's attempts.
func atOnce(o *sdk.Options) {
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

func once(o *sdk.Options) { o.RetryMaxAttempts = 1 }

func TestACertificateThatIsNotAcceptedIsNamed(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := deployed(t, server.URL, once).Describe(t.Context(), "acme/panther")
	const want = "DescribeSecret failed: the TLS certificate was not accepted; if a proxy inspects TLS, set SSL_CERT_FILE to a bundle with its certificate"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// The SDK attempts a call up to three times. What it says is the last attempt.
func TestTheLastAnswerOfSecretsManagerIsReported(t *testing.T) {
	const quota = `{"__type":"LimitExceededException","Message":"The quota is exceeded."}`
	for name, last := range map[string]func(w http.ResponseWriter, r *http.Request, giveUp func()){
		"the time ends in an attempt": func(_ http.ResponseWriter, r *http.Request, giveUp func()) {
			giveUp()
			<-r.Context().Done()
		},
		"the connection breaks":   func(http.ResponseWriter, *http.Request, func()) { panic(http.ErrAbortHandler) },
		"a page of a proxy comes": func(w http.ResponseWriter, _ *http.Request, _ func()) { w.WriteHeader(http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, giveUp := context.WithCancel(t.Context())
			defer giveUp()
			var attempts atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if attempts.Add(1) > 1 {
					last(w, r, giveUp)
					return
				}
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, quota)
			}))
			t.Cleanup(server.Close)
			_, err := deployed(t, server.URL, atOnce).Describe(ctx, "acme/panther")
			if err == nil || err.Error() != "DescribeSecret failed: LimitExceededException: The quota is exceeded." {
				t.Errorf("got %v after %d attempts", err, attempts.Load())
			}
			if attempts.Load() < 2 {
				t.Error("the SDK made one attempt, so this shows nothing")
			}
		})
	}
}

func TestEachCallHasItsOwnConnection(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "{}")
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	store := deployed(t, server.URL)
	for range 3 {
		if _, err := store.Describe(t.Context(), "acme/panther"); err != nil {
			t.Fatal(err)
		}
	}
	if got := connections.Load(); got != 3 {
		t.Errorf("3 calls had %d connections", got)
	}
}

// net/http writes to the standard log what comes in on an idle connection.
func TestBytesBehindAnAnswerAreNotLogged(t *testing.T) {
	var logged locked
	log.SetOutput(&logged)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		in := bufio.NewReader(conn)
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = in.ReadByte() // returns when the client closes the connection, as it should
		_, _ = io.WriteString(conn, confidential)
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = in.ReadByte()
	}()
	_, _ = deployed(t, "http://"+listener.Addr().String(), once).Describe(t.Context(), "acme/panther")
	<-gone
	if got := logged.String(); strings.Contains(got, confidential[:8]) || got != "" {
		t.Errorf("logged: %s", got)
	}
}

type locked struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}
