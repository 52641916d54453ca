package panther

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shurcooL/graphql"
)

func TestRotatesWithTheTokenThatCalls(t *testing.T) {
	api := New(Options{})
	old := api.NewToken("deploy")
	bystander := api.NewToken("other")
	base, client := serve(t, api)

	resp, body, err := send(t, client, newRequest(t, base, old, rotation))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("rotation: %v %v", resp, err)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	fresh := tokenOf(body)
	if want := `{"data":{"rotateAPIToken":{"token":{"value":"` + fresh + `"}}}}` + "\n"; string(body) != want {
		t.Errorf("body %s", body)
	}
	if fresh == old || len(fresh) < 40 {
		t.Errorf("the new token is not a new random one: %d characters", len(fresh))
	}
	wantStatus(t, api, old, Dead)
	wantStatus(t, api, fresh, Living)
	wantStatus(t, api, bystander, Living)
	wantStatus(t, api, "made-up", Unknown)
	if !slices.Equal(api.Issued(), []string{old, fresh, bystander}) {
		t.Errorf("Issued() has %d values, want the three there were", len(api.Issued()))
	}
}

func TestShowsTheTokenThatRotated(t *testing.T) {
	api := New(Options{})
	old := api.NewToken("deploy")
	got := call(t, api, old, `mutation { rotateAPIToken { token {
		id name value expiresAt rotatedAt createdAt permissions allowedCIDRBlocks } } }`)

	var reply struct {
		Data struct {
			RotateAPIToken struct{ Token map[string]any }
		}
	}
	if err := json.Unmarshal(got.Body.Bytes(), &reply); err != nil {
		t.Fatal(err)
	}
	token := reply.Data.RotateAPIToken.Token
	for _, at := range []string{"rotatedAt", "createdAt"} {
		if _, err := time.Parse(time.RFC3339, token[at].(string)); err != nil {
			t.Error(err)
		}
		delete(token, at)
	}
	want := map[string]any{
		"id": "token-1", "name": "deploy", "value": api.Issued()[1],
		"expiresAt": nil, "permissions": []any{}, "allowedCIDRBlocks": []any{},
	}
	if diff := cmp.Diff(want, token); diff != "" {
		t.Error(diff)
	}
}

// The client library that the issuer uses.
func TestServesShurcooLGraphQL(t *testing.T) {
	api := New(Options{})
	old := api.NewToken("deploy")
	base, client := serve(t, api)
	client.Transport = withToken{client.Transport, old}
	caller := graphql.NewClient(base+Path, client)

	var question struct {
		Schema struct{ QueryType struct{ Name string } } `graphql:"__schema"`
	}
	if err := caller.Query(t.Context(), &question, nil); err != nil || question.Schema.QueryType.Name != "Query" {
		t.Errorf("introspection: %+v, %v", question, err)
	}
	var misspelled struct {
		RotateAPIToken struct{ Token struct{ Value string } }
	}
	if err := caller.Mutate(t.Context(), &misspelled, nil); err == nil || !strings.Contains(err.Error(), "GRAPHQL_VALIDATION_FAILED") {
		t.Errorf("the name that the library derives: %v", err)
	}
	var mutation struct {
		RotateAPIToken struct{ Token struct{ Value string } } `graphql:"rotateAPIToken"`
	}
	if err := caller.Mutate(t.Context(), &mutation, nil); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, api, mutation.RotateAPIToken.Token.Value, Living)
	wantStatus(t, api, old, Dead)
}

type withToken struct {
	http.RoundTripper
	token string
}

func (w withToken) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("X-API-Key", w.token)
	return w.RoundTripper.RoundTrip(req)
}

func TestValidatesQueries(t *testing.T) {
	for _, test := range []struct {
		name, query string
		wantCode    string // "" is a valid query
	}{
		{"rotation", rotation, ""},
		{"introspection", introspection, ""},
		{"rotation as the library writes it", `mutation{rotateAPIToken{token{value}}}`, ""},
		{"field's name derived from Go's", `mutation { rotateApiToken { token { value } } }`, "GRAPHQL_VALIDATION_FAILED"},
		{"empty parentheses, as documented", `mutation { rotateAPIToken() { token { value } } }`, "GRAPHQL_PARSE_FAILED"},
		{"empty parentheses around ignored text", "mutation { rotateAPIToken( # (\n, ) { token { value } } }", "GRAPHQL_PARSE_FAILED"},
		{"parentheses with an argument", `{ __type(name: "()") { name } }`, ""},
		{"parentheses in a comment", "{ __schema { queryType { name } } } # ()", ""},
		{"a comment's end in a string", `{ __type(name: "# \" (") { name } }`, ""},
		{"mutation as query", `{ rotateAPIToken { token { value } } }`, "GRAPHQL_VALIDATION_FAILED"},
		{"no selection", `mutation { rotateAPIToken }`, "GRAPHQL_VALIDATION_FAILED"},
		{"unknown field", `mutation { rotateAPIToken { token { secret } } }`, "GRAPHQL_VALIDATION_FAILED"},
		{"not GraphQL", `rotate!`, "GRAPHQL_PARSE_FAILED"},
		{"two operations, none named", `query A ` + introspection + ` query B ` + introspection, "OPERATION_RESOLUTION_FAILURE"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api := New(Options{})
			token := api.NewToken("deploy")
			got := call(t, api, token, test.query)
			if test.wantCode == "" {
				if got.Code != http.StatusOK || strings.Contains(got.Body.String(), "errors") {
					t.Errorf("status %d, body %s", got.Code, got.Body)
				}
				return
			}
			if got.Code != http.StatusBadRequest || errorCode(t, got.Body.Bytes()) != test.wantCode {
				t.Errorf("status %d, body %s; want 400 with %s", got.Code, got.Body, test.wantCode)
			}
			wantStatus(t, api, token, Living)
		})
	}
}

func errorCode(t *testing.T, body []byte) string {
	t.Helper()
	var reply struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(body, &reply); err != nil || len(reply.Errors) == 0 || reply.Errors[0].Message == "" {
		t.Fatalf("no GraphQL error: %s", body)
	}
	return reply.Errors[0].Extensions.Code
}

// A permission that a token lacks is not a dead token.
func TestForbidsWhatNeedsAPermission(t *testing.T) {
	api := New(Options{})
	got := call(t, api, api.NewToken("deploy"), `{ users { id } }`)
	want := `{"errors":[{"message":"forbidden","path":["users"]}],"data":null}` + "\n"
	if got.Code != http.StatusOK || got.Body.String() != want {
		t.Errorf("status %d, body %s", got.Code, got.Body)
	}
}

// Whatever is wrong besides, without a living token one learns nothing else.
func TestAuthenticatesBeforeAnythingElse(t *testing.T) {
	api := New(Options{})
	dead := api.NewToken("dead")
	api.Revoke(dead)
	api.Revoke("made-up")

	for name, token := range map[string]string{"missing": "", "unknown": "made-up", "revoked": dead} {
		for _, query := range []string{rotation, introspection, "not GraphQL"} {
			got := call(t, api, token, query)
			if got.Code != http.StatusUnauthorized || got.Body.String() != `{"message":"Unauthorized"}`+"\n" {
				t.Errorf("%s token, %s: status %d, body %s", name, query, got.Code, got.Body)
			}
		}
	}
	recorder := httptest.NewRecorder()
	api.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, Path, nil))
	if recorder.Code != http.StatusUnauthorized {
		t.Errorf("GET without a token: status %d, want 401", recorder.Code)
	}
	if len(api.Issued()) != 1 {
		t.Error("a refused rotation issued a token")
	}
}

// A token has one value at a time, so revoking it by any value it ever had
// ends the one that works.
func TestRevokeEndsTheTokenWithAllItsValues(t *testing.T) {
	api := New(Options{})
	old := api.NewToken("deploy")
	fresh := rotate(t, api, old)
	api.Revoke(old)
	wantStatus(t, api, fresh, Dead)
}

func TestTakesOnlyJSONByPOST(t *testing.T) {
	api := New(Options{})
	token := api.NewToken("deploy")
	body := `{"query":"` + introspection + `"}`
	for _, test := range []struct {
		name, method, path, contentType, body string
		want                                  int
	}{
		{"good", "POST", Path, "application/json; charset=utf-8", body, 200},
		{"GET", "GET", Path, "application/json", body, 405},
		{"PUT", "PUT", Path, "application/json", body, 405},
		{"form", "POST", Path, "application/x-www-form-urlencoded", body, 415},
		{"no content type", "POST", Path, "", body, 415},
		{"no body", "POST", Path, "application/json", "", 400},
		{"malformed", "POST", Path, "application/json", body[:9], 400},
		{"more behind the JSON", "POST", Path, "application/json", body + "{}", 400},
		{"no query", "POST", Path, "application/json", `{"variables":{}}`, 400},
		{"variables that are none", "POST", Path, "application/json", `{"query":"` + introspection + `","variables":"x"}`, 400},
		{"a list of requests", "POST", Path, "application/json", "[" + body + "]", 400},
		{"as large as it may be", "POST", Path, "application/json", body + strings.Repeat(" ", maxBody-len(body)), 200},
		{"too large", "POST", Path, "application/json", body + strings.Repeat(" ", maxBody-len(body)+1), 413},
		{"another path", "POST", "/graphql", "application/json", body, 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
			req.Header.Set("X-API-Key", token)
			req.Header.Set("Content-Type", test.contentType)
			got := httptest.NewRecorder()
			api.ServeHTTP(got, req)
			if got.Code != test.want {
				t.Errorf("status %d, want %d; body %s", got.Code, test.want, got.Body)
			}
			if !json.Valid(got.Body.Bytes()) {
				t.Errorf("body is not JSON: %s", got.Body)
			}
			if test.want == 405 && got.Header().Get("Allow") != "POST" {
				t.Error("405 without the header Allow")
			}
		})
	}
}

func TestReportsWhichCallsItGot(t *testing.T) {
	var told []Call
	api := New(Options{OnCall: func(c Call) { told = append(told, c) }})
	start := time.Now()
	token := api.NewToken("deploy")
	hidden := `query A ` + introspection + ` mutation B { ...R } fragment R on Mutation { any: rotateAPIToken { token { value } } }`

	call(t, api, token, introspection)
	call(t, api, token, `{ users { id } }`)
	call(t, api, token, `mutation { rotateAPIToken @skip(if: true) { token { value } } }`)
	call(t, api, token, "# rotateAPIToken\nnot GraphQL")
	body, err := json.Marshal(map[string]string{"query": hidden, "operationName": "B"})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(string(body)))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", token)
	api.ServeHTTP(httptest.NewRecorder(), req)
	call(t, api, token, rotation)

	want := []Call{
		{Operation: Introspection, Status: 200},
		{Operation: Other, Status: 200},
		{Operation: Introspection, Status: 200},
		{Operation: Other, Status: 400},
		{Operation: RotateAPIToken, Status: 200, Rotated: true},
		{Operation: RotateAPIToken, Status: 401},
	}
	if diff := cmp.Diff(want, api.Calls(), cmpopts.IgnoreFields(Call{}, "Time")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(api.Calls(), told); diff != "" {
		t.Error(diff)
	}
	for _, c := range told {
		if c.Time.Before(start) || time.Since(c.Time) < 0 {
			t.Errorf("time of the call is %v", c.Time)
		}
	}
}

// Two rotations at once with one token: only one may win, or two values live.
func TestOneOfManyRotationsAtOnceWins(t *testing.T) {
	api := New(Options{})
	old := api.NewToken("deploy")
	var group sync.WaitGroup
	var fresh [8]string
	for i := range fresh {
		group.Go(func() { fresh[i] = tokenOf(call(t, api, old, rotation).Body.Bytes()) })
	}
	group.Wait()
	won := slices.DeleteFunc(fresh[:], func(s string) bool { return s == "" })
	if len(won) != 1 || len(api.Issued()) != 2 {
		t.Errorf("%d rotations won, %d tokens issued", len(won), len(api.Issued()))
	}
}

// The first rotation ends the token that the second calls with. Because the
// field may not be null, the error takes the whole data with it: a token lost.
func TestSecondRotationInOneRequestIsRefused(t *testing.T) {
	api := New(Options{})
	old := api.NewToken("deploy")
	got := call(t, api, old, `mutation {
		first: rotateAPIToken { token { value } }
		second: rotateAPIToken { token { value } } }`)
	want := `{"errors":[{"message":"unauthorized","path":["second"]}],"data":null}` + "\n"
	if got.Code != http.StatusOK || got.Body.String() != want || len(api.Issued()) != 2 {
		t.Errorf("status %d, body %s, %d tokens", got.Code, got.Body, len(api.Issued()))
	}
}

// A caller that gives up does not undo what it sent.
func TestCarriesOutWhatAnImpatientCallerSent(t *testing.T) {
	api := New(Options{})
	old := api.NewToken("deploy")
	ctx, leave := context.WithCancel(t.Context())
	leave()
	api.ServeHTTP(httptest.NewRecorder(), newRequest(t, "http://127.0.0.1", old, rotation).WithContext(ctx))
	wantStatus(t, api, old, Dead)
}
