package network_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"panther-token-rotation/internal/network"
)

// failure returns the error of a request through a transport as the function
// has it.
func failure(t *testing.T, target, proxy string) error {
	t.Helper()
	transport := &http.Transport{}
	network.Configure(transport)
	transport.DialContext = (&net.Dialer{Resolver: &net.Resolver{
		PreferGo: true,
		Dial:     func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no name server") },
	}}).DialContext
	if proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil {
			t.Fatal(err)
		}
		transport.Proxy = http.ProxyURL(u)
	}
	response, err := (&http.Client{Transport: transport}).Get(target)
	if err == nil {
		_ = response.Body.Close()
		t.Fatal("the request got an answer")
	}
	return err
}

func TestFailuresOfTheNetworkAreDistinguished(t *testing.T) {
	const password = "hunter2hunter2"
	closed := httptest.NewServer(nil)
	closed.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	secured := httptest.NewUnstartedServer(http.NotFoundHandler())
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	secured.StartTLS()
	t.Cleanup(secured.Close)
	proxyThatSays := func(status int) string {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, password, status)
		}))
		t.Cleanup(proxy.Close)
		return strings.Replace(proxy.URL, "http://", "http://user:"+password+"@", 1)
	}
	for name, tc := range map[string]struct{ target, proxy, want string }{
		"refused":             {closed.URL, "", "the connection was refused"},
		"no such host":        {"https://sm.invalid", "", "the host name could not be resolved"},
		"unknown certificate": {secured.URL, "", network.CertificateRejected},
		"no TLS":              {strings.Replace(plain.URL, "http:", "https:", 1), "", "no TLS connection"},
		"proxy, 407":          {"https://sm.invalid", proxyThatSays(407), "the proxy refused the connection (HTTP status 407)"},
		"proxy, 502":          {"https://sm.invalid", proxyThatSays(502), "the proxy refused the connection (HTTP status 502)"},
		"proxy is down":       {"https://sm.invalid", closed.URL, "the proxy's host refused the connection"},
		"no such proxy":       {"https://sm.invalid", "http://egress.invalid:3128", "the proxy's host name could not be resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			got := network.Describe(failure(t, tc.target, tc.proxy), "otherwise")
			if got != tc.want || strings.Contains(got, password) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	for err, want := range map[error]string{
		errors.New(password):                                "otherwise",
		context.DeadlineExceeded:                            "otherwise (timeout)",
		os.ErrDeadlineExceeded:                              "otherwise (timeout)",
		&net.OpError{Op: "read", Err: errors.New(password)}: "otherwise",
	} {
		if got := network.Describe(err, "otherwise"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
