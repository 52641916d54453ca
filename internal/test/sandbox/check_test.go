package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"panther-token-rotation/internal/test/sandbox"
	pantherapi "panther-token-rotation/internal/test/sandbox/panther"
)

// checkedAccount has a secret with two tokens that the daily check looks at, and
// a proxy that can change what Secrets Manager says.
type checkedAccount struct {
	*account
	active, standby string
	changed         atomic.Pointer[func(map[string]any)]
	denied          atomic.Bool // by Secrets Manager
	silentREST      atomic.Bool
	fault           atomic.Pointer[func(pantherapi.Request) *pantherapi.Fault]
}

func openChecked(t *testing.T, value, propagation string) *checkedAccount {
	t.Helper()
	c := &checkedAccount{}
	var endpoint atomic.Pointer[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.denied.Load() {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","Message":"not authorized"}`)
			return
		}
		body, _ := io.ReadAll(r.Body)
		request, _ := http.NewRequestWithContext(r.Context(), http.MethodPost, *endpoint.Load(), bytes.NewReader(body))
		request.Header = r.Header.Clone()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer response.Body.Close()
		answer, _ := io.ReadAll(response.Body)
		if change := c.changed.Load(); change != nil {
			var d map[string]any
			_ = json.Unmarshal(answer, &d)
			(*change)(d)
			answer, _ = json.Marshal(d)
		}
		w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
		w.WriteHeader(response.StatusCode)
		_, _ = w.Write(answer)
	}))
	var pantherURL atomic.Pointer[url.URL]
	panther := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		if r.In.URL.Path == pantherapi.SelfPath && c.silentREST.Load() {
			<-r.In.Context().Done()
		}
		r.SetURL(pantherURL.Load())
	}, ErrorLog: log.New(io.Discard, "", 0), ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }})
	t.Cleanup(func() {
		proxy.Close()
		panther.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	env := map[string]string{}
	env["AWS_ENDPOINT_URL_SECRETS_MANAGER"], env["CHECK_SECRETS"] = proxy.URL, "acme/checked"
	env["PANTHER_API_URL"], env["PROPAGATION_TIMEOUT"] = panther.URL, propagation
	c.account = openAccount(t, sandbox.Options{Env: env, Panther: pantherapi.Options{Fault: func(r pantherapi.Request) *pantherapi.Fault {
		if fault := c.fault.Load(); fault != nil {
			return (*fault)(r)
		}
		return nil
	}}})
	endpoint.Store(&c.SecretsManagerURL)
	behind, _ := url.Parse(strings.TrimSuffix(c.PantherURL, pantherapi.Path))
	pantherURL.Store(behind)

	c.active, c.standby = c.Panther.NewToken("active"), c.Panther.NewToken("standby")
	c.secret = c.create("acme/checked", strings.NewReplacer("<active>", c.active, "<standby>", c.standby).Replace(value))
	_, err := c.client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{
		SecretId: &c.secret, RotationLambdaARN: aws.String(c.Function.ARN()), RotateImmediately: aws.Bool(false),
		RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)},
	})
	if err == nil {
		err = c.SecretsManager.AwaitIdle(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// check invokes the function as the schedule does. It returns the kinds that
// were logged, and whether there was a heartbeat for every secret.
func (c *checkedAccount) check(t *testing.T) (kinds []string, heartbeat bool) {
	t.Helper()
	c.note(func() { c.log = nil })
	if _, err := c.Function.Invoke(t.Context(), []byte(`{"Check":"secrets"}`)); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range c.log {
		var fields struct {
			Event, Kind, Error string
			ChecksCompleted    int
		}
		_ = json.Unmarshal([]byte(line), &fields)
		heartbeat = heartbeat || fields.ChecksCompleted == 1
		if fields.Event == "problem_found" || fields.Event == "check_failed" {
			t.Logf("%s: %s", fields.Kind, fields.Error)
			kinds = append(kinds, fields.Kind)
		}
	}
	return kinds, heartbeat
}

// TestTheDailyCheckFindsEachProblem runs the real binary on a secret with one
// thing wrong. Nothing else may be found.
func TestTheDailyCheckFindsEachProblem(t *testing.T) {
	t.Parallel()
	type account = *checkedAccount
	describe := func(change func(map[string]any)) func(*testing.T, account) {
		return func(_ *testing.T, c account) {
			only := func(answer map[string]any) {
				if answer["RotationLambdaARN"] != nil {
					change(answer)
				}
			}
			c.changed.Store(&only)
		}
	}
	const pair = `{"PANTHER_API_TOKEN":"<active>","PANTHER_API_TOKEN_STANDBY":"<standby>"}`
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	faulty := func(fault func(pantherapi.Request) *pantherapi.Fault) func(*testing.T, account) {
		return func(_ *testing.T, c account) { c.fault.Store(&fault) }
	}
	put := func(value string, labels ...string) func(*testing.T, account) {
		return func(t *testing.T, c account) {
			_, err := c.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &c.secret, SecretString: &value, VersionStages: labels})
			must(t, err)
		}
	}
	rotating := put("x", "AWSPENDING")
	for name, tc := range map[string]struct {
		change func(*testing.T, account)
		kind   string
	}{
		"nothing is wrong": {func(*testing.T, account) {}, ""},
		"no schedule":      {describe(func(d map[string]any) { delete(d, "NextRotationDate") }), "RotationDisabled"},
		"no function":      {describe(func(d map[string]any) { delete(d, "RotationLambdaARN") }), "OtherFunction"},
		"the secret is gone": {func(t *testing.T, c account) {
			_, err := c.client.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &c.secret, ForceDeleteWithoutRecovery: aws.Bool(true)})
			must(t, err)
		}, "SecretDeleted"},
		"due an hour ago":          {describe(func(d map[string]any) { d["NextRotationDate"] = time.Now().Add(-time.Hour).Unix() }), ""},
		"the standby expires":      {func(_ *testing.T, c account) { c.Panther.SetExpiry(c.standby, time.Now().Add(24*time.Hour)) }, "TokenExpires"},
		"it expires in a month":    {func(_ *testing.T, c account) { c.Panther.SetExpiry(c.active, time.Now().Add(30*24*time.Hour)) }, ""},
		"the expiry is never told": {func(_ *testing.T, c account) { c.silentREST.Store(true) }, ""},
		"the address is not Panther's": {faulty(func(pantherapi.Request) *pantherapi.Fault {
			return &pantherapi.Fault{Kind: pantherapi.WebPage, Status: http.StatusNotFound}
		}), "EndpointMisconfigured"},
		"Secrets Manager denies": {func(_ *testing.T, c account) { c.denied.Store(true) }, "StoreUnavailable"},
		"a put token is too new": {func(t *testing.T, c account) {
			put(`{"PANTHER_API_TOKEN":"new","PANTHER_API_TOKEN_STANDBY":"`+c.standby+`"}`)(t, c)
		}, ""},
		"rotation was cancelled": {func(t *testing.T, c account) {
			_, err := c.client.CancelRotateSecret(t.Context(), &secretsmanager.CancelRotateSecretInput{SecretId: &c.secret})
			must(t, err)
		}, "RotationDisabled"},
		"the secret is being deleted": {func(t *testing.T, c account) {
			_, err := c.client.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &c.secret})
			must(t, err)
		}, "SecretDeleted"},
		"another function": {describe(func(d map[string]any) { d["RotationLambdaARN"] = d["RotationLambdaARN"].(string) + "-2" }), "OtherFunction"},
		"overdue":          {describe(func(d map[string]any) { d["NextRotationDate"] = time.Now().Add(-25 * time.Hour).Unix() }), "RotationOverdue"},
		"the active token was deleted in Panther": {func(_ *testing.T, c account) { c.Panther.Revoke(c.active) }, "TokenRefused"},
		"the standby was deleted":                 {func(_ *testing.T, c account) { c.Panther.Revoke(c.standby) }, "StandbyRefused"},
		"the active token expires":                {func(_ *testing.T, c account) { c.Panther.SetExpiry(c.active, time.Now().Add(24*time.Hour)) }, "TokenExpires"},
		"the value is unusable":                   {put("[]"), "SecretUnusable"},
		"Panther is unreachable":                  {faulty(func(pantherapi.Request) *pantherapi.Fault { return &pantherapi.Fault{Kind: pantherapi.Reset} }), "PantherUnavailable"},
		"a rotation is stuck": {func(t *testing.T, c account) {
			rotating(t, c)
			old := func(answer map[string]any) {
				versions, _ := answer["Versions"].([]any)
				for _, v := range versions {
					v.(map[string]any)["CreatedDate"] = time.Now().Add(-25 * time.Hour).Unix()
				}
			}
			c.changed.Store(&old)
		}, "RotationStuck"},
		"the only token was deleted":      {func(_ *testing.T, c account) { c.Panther.Revoke(c.active) }, "TokenRefused"},
		"the only token is being rotated": {func(t *testing.T, c account) { rotating(t, c); c.Panther.Revoke(c.active) }, ""},
		"a rotation of the only token begins during the check": {func(t *testing.T, c account) {
			c.Panther.Revoke(c.active)
			var asked atomic.Int32
			faulty(func(pantherapi.Request) *pantherapi.Fault {
				if asked.Add(1) == 1 {
					rotating(t, c)
				}
				return nil
			})(t, c)
		}, ""},
		"a rotation is under way": {func(t *testing.T, c account) {
			rotating(t, c)
			c.Panther.Revoke(c.standby)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value, propagation := pair, "1s"
			if strings.Contains(name, "only token") {
				value = "<active>"
			}
			if strings.Contains(name, "too new") {
				propagation = "1m"
			}
			c := openChecked(t, value, propagation)
			time.Sleep(time.Second) // the tokens must not count as young
			tc.change(t, c)
			kinds, heartbeat := c.check(t)
			var want []string
			if tc.kind != "" {
				want = []string{tc.kind}
			}
			if !slices.Equal(kinds, want) || heartbeat == (tc.kind == "StoreUnavailable") {
				t.Errorf("found %q, want %q; heartbeat %v", kinds, want, heartbeat)
			}
			for _, call := range c.calls {
				if strings.Contains(call.UserAgent, "panther-token-rotation/") && call.Operation != "UpdateSecretVersionStage" && strings.HasPrefix(call.Operation, "Put") {
					t.Errorf("the check called %s", call.Operation)
				}
			}
		})
	}
}
