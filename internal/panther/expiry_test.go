package panther_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"panther-token-rotation/internal/panther"
	"panther-token-rotation/internal/secret"
)

func TestExpiry(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		path, answer string
		status       int
		want         bool
	}{
		"on Panther's own domain":    {"/public/graphql", `{"id":"1","expiresAt":"2030-01-02T03:04:05Z"}`, 200, true},
		"behind a gateway's stage":   {"/v1/public/graphql", `{"expiresAt":"2030-01-02T03:04:05Z"}`, 200, true},
		"a token that never expires": {"/public/graphql", `{"expiresAt":null}`, 200, false},
		"no permission":              {"/public/graphql", `{"error":"forbidden"}`, 403, false},
		"a date next to an error":    {"/public/graphql", `{"expiresAt":"2030-01-02T03:04:05Z"}`, 500, false},
		"no JSON":                    {"/public/graphql", `<html>`, 200, false},
		"a redirect":                 {"/public/graphql", ``, 302, false},
		"an API of another path":     {"/graphql", `{"expiresAt":"2030-01-02T03:04:05Z"}`, 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				if r.Method != http.MethodGet || r.Header.Get("X-API-Key") != "the-token" {
					t.Errorf("%s %s with key %q", r.Method, r.URL, r.Header.Get("X-API-Key"))
				}
				if base := tc.path[:len(tc.path)-len("/public/graphql")]; r.URL.Path != base+"/api-tokens/self" {
					t.Errorf("asked %s", r.URL.Path)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.answer)
			}))
			defer server.Close()
			u, err := url.Parse(server.URL + tc.path)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := panther.New(u, "test/1").Expiry(t.Context(), secret.NewText("the-token"))
			if ok != tc.want || ok && !got.Equal(at) || asked > 1 {
				t.Errorf("got %v, %v after %d requests", got, ok, asked)
			}
		})
	}
}
