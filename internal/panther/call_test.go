package panther

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

const (
	oldToken = "oLdZk3pQ8vR1xW6yT9bN4mC7hJ2"
	newToken = "nEwgD5sL0fH8aK3jP6wV1zX9cB4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// issuerAt makes the Issuer for an API at rawURL, whatever proxy the tests run
// behind.
func issuerAt(t *testing.T, rawURL string) *Issuer {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	issuer := New(u, "panther-token-rotation/1.2.3")
	issuer.transport.Proxy = nil
	return issuer
}

// api starts an API and makes its Issuer.
func api(t *testing.T, handler http.HandlerFunc) *Issuer {
	t.Helper()
	server := httptest.NewServer(readingFirst(handler))
	t.Cleanup(server.Close)
	return issuerAt(t, server.URL+"/public/graphql")
}

// tlsAPI starts an API with TLS that the test has still to be made trusted by.
func tlsAPI(t *testing.T, settings *tls.Config, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(readingFirst(handler))
	server.EnableHTTP2 = true
	server.TLS = settings
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func readingFirst(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the handler is not told when the client goes
		handler(w, r)
	}
}

// raw answers with these bytes and ends the connection, with a reset if
// wanted.
func raw(t *testing.T, answer string, reset bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = buffered.WriteString(answer)
		_ = buffered.Flush()
		if reset {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
	}
}

// both calls the API's two operations, neither of which may succeed, and hands
// over what they say.
func both(t *testing.T, issuer *Issuer, limit time.Duration, see func(t *testing.T, answer *rotation.AnswerError)) {
	t.Helper()
	for name, operation := range map[string]func(context.Context) error{
		"Rotate": func(ctx context.Context) error {
			token, err := issuer.Rotate(ctx, secret.NewText(oldToken))
			if !token.IsEmpty() {
				t.Errorf("Rotate made up a token: %q", token.Reveal())
			}
			return err
		},
		"Check": func(ctx context.Context) error { return issuer.Check(ctx, secret.NewText(oldToken)) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := operation(ctx)
			answer, ok := errors.AsType[*rotation.AnswerError](err)
			if !ok {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			assertNoLeak(t, fmt.Sprintf("%v\n%+v\n%#v\n%q", err, err, err, err))
			see(t, answer)
		})
	}
}

// assertNoLeak fails if eight characters of a token are in printed.
func assertNoLeak(t *testing.T, printed string) {
	t.Helper()
	for _, token := range []string{oldToken, newToken} {
		for i := 0; i+8 <= len(token); i++ {
			if strings.Contains(printed, token[i:i+8]) {
				t.Errorf("%q is in:\n%s", token[i:i+8], printed)
				return
			}
		}
	}
}

func TestEachOperationIsSentAsPantherDocumentsIt(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{}`)
	}))
	t.Cleanup(server.Close)
	issuer := issuerAt(t, server.URL+"/v1/public/graphql")

	_, _ = issuer.Rotate(t.Context(), secret.NewText(oldToken))
	assertOperation(t, got, body, "mutation{rotateAPIToken{token{value}}}")
	_ = issuer.Check(t.Context(), secret.NewText(oldToken))
	assertOperation(t, got, body, "{__schema{queryType{name}}}")
}

func assertOperation(t *testing.T, r *http.Request, body []byte, operation string) {
	t.Helper()
	if r.Method != http.MethodPost || r.URL.String() != "/v1/public/graphql" {
		t.Errorf("called %s %s", r.Method, r.URL)
	}
	for name, want := range map[string]string{
		"X-API-Key":    oldToken,
		"User-Agent":   "panther-token-rotation/1.2.3",
		"Content-Type": "application/json",
		"Accept":       "application/json",
		// Brotli and zstd could not be decoded.
		"Accept-Encoding": "gzip, identity",
	} {
		if values := r.Header.Values(name); !slices.Equal(values, []string{want}) {
			t.Errorf("%s is %q, want %q", name, values, want)
		}
	}
	var sent map[string]any
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Fatal(err)
	}
	query, _ := sent["query"].(string)
	if got := strings.Join(strings.Fields(query), ""); got != operation || len(sent) != 1 {
		t.Errorf("sent %s, want the query %s and nothing else", body, operation)
	}
	if strings.Contains(string(body), oldToken) {
		t.Error("the token is in the body")
	}
}

func TestBeforeAConnectionStandsNothingIsSent(t *testing.T) {
	unheard := func(http.ResponseWriter, *http.Request) { t.Error("the request was sent all the same") }
	refusing := httptest.NewServer(nil)
	refusing.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	plain := httptest.NewServer(http.HandlerFunc(unheard))
	t.Cleanup(plain.Close)
	modern := tlsAPI(t, &tls.Config{MinVersion: tls.VersionTLS13}, unheard)
	nameless := issuerAt(t, "https://api.acme.invalid/public/graphql")
	nameless.transport.DialContext = (&net.Dialer{Resolver: &net.Resolver{
		PreferGo: true,
		Dial:     func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no name server") },
	}}).DialContext
	old := issuerAt(t, modern.URL)
	old.transport.TLSClientConfig = &tls.Config{MaxVersion: tls.VersionTLS12}

	for name, tc := range map[string]struct {
		issuer  *Issuer
		limit   time.Duration
		summary string
	}{
		"refused":                     {issuerAt(t, refusing.URL), time.Minute, "the connection was refused"},
		"a host name that is not":     {nameless, time.Minute, "the host name could not be resolved"},
		"plain HTTP where TLS is due": {issuerAt(t, strings.Replace(plain.URL, "http:", "https:", 1)), time.Minute, "no TLS connection"},
		"a certificate of one's own":  {issuerAt(t, tlsAPI(t, nil, unheard).URL), time.Minute, "the TLS certificate was not accepted"},
		"no TLS version in common":    {old, time.Minute, "no TLS connection"},
		"TLS that hangs":              {issuerAt(t, "https://"+mute.Addr().String()), 50 * time.Millisecond, "no connection (timeout)"},
		"no time left":                {issuerAt(t, plain.URL), 0, "no connection (timeout)"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, tc.issuer, tc.limit, func(t *testing.T, answer *rotation.AnswerError) {
				if answer.Answer != rotation.NotSent || answer.Summary != tc.summary {
					t.Errorf("got %v %q, want NotSent %q", answer.Answer, answer.Summary, tc.summary)
				}
			})
		})
	}
}

func TestAProxyThatRefusesIsNoCall(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, oldToken, http.StatusForbidden)
	}))
	t.Cleanup(proxy.Close)
	issuer := issuerAt(t, "https://api.acme.invalid/public/graphql")
	issuer.transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	both(t, issuer, time.Minute, func(t *testing.T, answer *rotation.AnswerError) {
		if answer.Answer != rotation.NotSent {
			t.Errorf("got %v %q, want NotSent", answer.Answer, answer.Summary)
		}
	})
}

func TestOnceSentALostAnswerLeavesItOpen(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, tc := range map[string]struct {
		issuer  *Issuer
		limit   time.Duration
		summary string
	}{
		"hangs":                     {api(t, hang), 50 * time.Millisecond, "the connection broke before an answer came (timeout)"},
		"resets":                    {api(t, raw(t, "", true)), time.Minute, "the connection broke before an answer came (reset)"},
		"closes":                    {api(t, raw(t, "", false)), time.Minute, "the connection broke before an answer came"},
		"ends within the status":    {api(t, raw(t, "HTTP/1.1 2", false)), time.Minute, "the connection broke before an answer came"},
		"does not speak HTTP":       {api(t, raw(t, oldToken+"\r\n\r\n", false)), time.Minute, "the connection broke before an answer came"},
		"has a broken status line":  {api(t, raw(t, "HTTP/1.1 "+oldToken+"\r\n\r\n", false)), time.Minute, "the connection broke before an answer came"},
		"has a broken header":       {api(t, raw(t, "HTTP/1.1 200 OK\r\n"+oldToken+"\r\n\r\n", false)), time.Minute, "the connection broke before an answer came"},
		"is cut off":                {api(t, raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"data\":", false)), time.Minute, "HTTP status 200 with an answer that was cut off"},
		"is cut off within a token": {api(t, raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"+`{"data":{"rotateAPIToken":{"token":{"value":"`+newToken[:20], false)), time.Minute, "HTTP status 200 with an answer that was cut off"},
		"hangs within the body": {api(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"data":`)
			_ = http.NewResponseController(w).Flush()
			hang(w, r)
		}), 50 * time.Millisecond, "HTTP status 200 with an answer that was cut off"},
		"is endless": {api(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"extensions":"`+oldToken+strings.Repeat(".", maxAnswer))
		}), time.Minute, "HTTP status 200 with an answer that was cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, tc.issuer, tc.limit, func(t *testing.T, answer *rotation.AnswerError) {
				if answer.Answer != rotation.Ambiguous || answer.Summary != tc.summary {
					t.Errorf("got %v %q, want Ambiguous %q", answer.Answer, answer.Summary, tc.summary)
				}
			})
		})
	}
}

// Panther's own hosts speak HTTP/2, where connections are handled by other
// code of net/http.
func TestHTTP2LeavesALostAnswerOpenToo(t *testing.T) {
	var version, calls atomic.Int32
	server := tlsAPI(t, nil, func(_ http.ResponseWriter, r *http.Request) {
		version.Store(int32(r.ProtoMajor))
		calls.Add(1)
		panic(http.ErrAbortHandler) // resets the stream
	})
	issuer := issuerAt(t, server.URL)
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	issuer.transport.TLSClientConfig = &tls.Config{RootCAs: trusted}
	both(t, issuer, time.Minute, func(t *testing.T, answer *rotation.AnswerError) {
		if answer.Answer != rotation.Ambiguous {
			t.Errorf("got %v %q, want Ambiguous", answer.Answer, answer.Summary)
		}
	})
	if version.Load() != 2 || calls.Load() != 2 {
		t.Errorf("HTTP version %d, %d calls; want version 2 and each operation once", version.Load(), calls.Load())
	}
}

func TestACallIsNeverRepeatedOnItsOwn(t *testing.T) {
	var calls atomic.Int32
	issuer := api(t, func(w http.ResponseWriter, r *http.Request) {
		// The second call dies as on a connection that was kept too long.
		if calls.Add(1) == 2 {
			raw(t, "", true)(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"data":{"rotateAPIToken":{"token":{"value":"`+newToken+`"}}}}`)
	})
	for range 2 {
		_, _ = issuer.Rotate(t.Context(), secret.NewText(oldToken))
	}
	if calls.Load() != 2 {
		t.Errorf("two calls of Rotate became %d", calls.Load())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		var here atomic.Int32
		for name, location := range map[string]string{"to another host": other.URL + "/?" + newToken, "to the same host": "/other"} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				here.Store(0)
				issuer := api(t, func(w http.ResponseWriter, r *http.Request) {
					here.Add(1)
					http.Redirect(w, r, location, status)
				})
				both(t, issuer, time.Minute, func(t *testing.T, answer *rotation.AnswerError) {
					if answer.Answer != rotation.Misconfigured || !strings.Contains(answer.Summary, "a redirect") {
						t.Errorf("got %v %q, want Misconfigured and the reason", answer.Answer, answer.Summary)
					}
				})
				if here.Load() != 2 {
					t.Errorf("%d requests for two calls", here.Load())
				}
			})
		}
	}
	if elsewhere.Load() > 0 {
		t.Errorf("the other host saw %d requests", elsewhere.Load())
	}
}

// net/http writes to the standard log what comes in on an idle connection.
func TestTheRestOfAnAnswerIsNotLogged(t *testing.T) {
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
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = in.ReadByte() // returns when the other side hangs up, as it should
		_, _ = io.WriteString(conn, newToken)
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = in.ReadByte()
	}()
	_, _ = issuerAt(t, "http://"+listener.Addr().String()).Rotate(t.Context(), secret.NewText(oldToken))
	<-gone
	if got := logged.String(); got != "" {
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
