package panther

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// get asks the REST API.
func get(t *testing.T, api *API, method, path, token string) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	req.Header.Set("X-API-Key", token)
	api.ServeHTTP(recorder, req)
	return recorder
}

func TestTheTokenThatAsksIsDescribed(t *testing.T) {
	api := New(Options{})
	old := api.NewToken("deploy")
	fresh := rotate(t, api, old)
	got := get(t, api, http.MethodGet, SelfPath, fresh)
	var described map[string]any
	if err := json.Unmarshal(got.Body.Bytes(), &described); err != nil {
		t.Fatal(err)
	}
	if got.Code != http.StatusOK || described["id"] != "token-1" || described["name"] != "deploy" {
		t.Errorf("status %d, body %s", got.Code, got.Body)
	}
	for _, member := range []string{"permissions", "allowedCIDRBlocks"} {
		if list, ok := described[member].([]any); !ok || len(list) > 0 {
			t.Errorf("%s is %v, want an empty list", member, described[member])
		}
	}
	if expires, there := described["expiresAt"]; !there || expires != nil {
		t.Errorf("expiresAt is %v", expires)
	}
	if strings.Contains(got.Body.String(), fresh) {
		t.Error("the description holds the token")
	}
	if got := get(t, api, http.MethodGet, SelfPath, old); got.Code != http.StatusUnauthorized {
		t.Errorf("with the old token: status %d", got.Code)
	}
	if got := get(t, New(Options{Throttle: 1}), http.MethodGet, SelfPath, ""); got.Code != http.StatusTooManyRequests {
		t.Errorf("throttled: status %d", got.Code)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	api := New(Options{})
	for _, request := range []string{"GET /rules", "POST /api-tokens", "DELETE " + SelfPath, "GET /v1" + SelfPath, "POST /graphql"} {
		method, path, _ := strings.Cut(request, " ")
		got := get(t, api, method, path, api.NewToken("deploy"))
		want := `{"message":"The sandbox does not have ` + request + `. It has POST /public/graphql and GET /api-tokens/self."}` + "\n"
		if got.Code != http.StatusNotFound || got.Body.String() != want {
			t.Errorf("%s: status %d, body %s", request, got.Code, got.Body)
		}
	}
}

func TestTheVersionIsReadableByEveryLivingToken(t *testing.T) {
	var told []Call
	api := New(Options{OnCall: func(c Call) { told = append(told, c) }})
	token := api.NewToken("deploy")
	const query = "query GetVersion { generalSettings { pantherVersion } }"
	got := call(t, api, token, query)
	if want := `{"data":{"generalSettings":{"pantherVersion":"sandbox"}}}` + "\n"; got.Code != http.StatusOK || got.Body.String() != want {
		t.Errorf("status %d, body %s", got.Code, got.Body)
	}
	if told[0].Operation != Other {
		t.Errorf("it was taken for %s", told[0].Operation)
	}
	api.Revoke(token)
	if got := call(t, api, token, query); got.Code != http.StatusUnauthorized {
		t.Errorf("with a dead token: status %d", got.Code)
	}
}
