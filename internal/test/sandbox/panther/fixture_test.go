package panther

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	rotation      = `mutation { rotateAPIToken { token { value } } }`
	introspection = `{ __schema { queryType { name } } }`
)

// newRequest builds the HTTP request that a client of the API sends.
func newRequest(t *testing.T, base, token, query string) *http.Request {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, base+Path, strings.NewReader(string(body)))
	req.RequestURI = ""
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("X-API-Key", token)
	}
	return req
}

// call answers a query without a network, and so without real time.
func call(t *testing.T, api *API, token, query string) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	api.ServeHTTP(recorder, newRequest(t, "http://127.0.0.1", token, query))
	return recorder
}

// tokenOf reads the new token from an answer to the rotation, "" if there is
// none.
func tokenOf(body []byte) string {
	var reply struct {
		Data struct {
			RotateAPIToken struct {
				Token struct{ Value string }
			}
		}
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return ""
	}
	return reply.Data.RotateAPIToken.Token.Value
}

// rotate rotates and returns the new token.
func rotate(t *testing.T, api *API, token string) string {
	t.Helper()
	got := call(t, api, token, rotation)
	fresh := tokenOf(got.Body.Bytes())
	if got.Code != http.StatusOK || fresh == "" {
		t.Fatalf("rotation: status %d, body %s", got.Code, got.Body)
	}
	return fresh
}

func wantStatus(t *testing.T, api *API, token string, want Status) {
	t.Helper()
	if got := api.Status(token); got != want {
		t.Errorf("status of the token is %q, want %q", got, want)
	}
	// What the control side knows must be what a client meets.
	wantCode := http.StatusUnauthorized
	if want == Living {
		wantCode = http.StatusOK
	}
	if got := call(t, api, token, introspection); got.Code != wantCode {
		t.Errorf("introspection with a token that is %s: status %d, want %d", want, got.Code, wantCode)
	}
}

// serve puts the API on a free port of 127.0.0.1.
func serve(t *testing.T, api *API) (base string, client *http.Client) {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	client = server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return server.URL, client
}

// send calls the API over the network; err is that of the connection or of
// reading the body, of which it returns what arrived.
func send(t *testing.T, client *http.Client, req *http.Request) (resp *http.Response, body []byte, err error) {
	t.Helper()
	resp, err = client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	return resp, body, err
}
