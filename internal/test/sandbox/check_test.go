package sandbox_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	pantherapi "panther-token-rotation/internal/test/sandbox/panther"
)

// checkedAccount has a secret with two tokens that the daily check looks at, and
// a proxy that can change what Secrets Manager says.
type checkedAccount struct {
	*account
	active, standby string
	changed         atomic.Pointer[func(map[string]any)]
	pantherDown     atomic.Bool
}

func openChecked(t *testing.T) *checkedAccount {
	t.Helper()
	c := &checkedAccount{}
	var endpoint atomic.Pointer[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	t.Cleanup(func() {
		proxy.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	env := short()
	env["AWS_ENDPOINT_URL_SECRETS_MANAGER"], env["CHECK_SECRETS"] = proxy.URL, "acme/checked"
	c.account = openAccount(t, sandbox.Options{Env: env, Panther: pantherapi.Options{Fault: func(pantherapi.Request) *pantherapi.Fault {
		if c.pantherDown.Load() {
			return &pantherapi.Fault{Kind: pantherapi.Reset}
		}
		return nil
	}}})
	endpoint.Store(&c.SecretsManagerURL)

	c.active, c.standby = c.Panther.NewToken("active"), c.Panther.NewToken("standby")
	c.secret = c.create("acme/checked", fmt.Sprintf(`{"PANTHER_API_TOKEN":%q,"PANTHER_API_TOKEN_STANDBY":%q}`, c.active, c.standby))
	_, err := c.client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{
		SecretId: &c.secret, RotationLambdaARN: aws.String(c.Function.ARN()), RotateImmediately: aws.Bool(false),
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
		if fields.Event == "problem_found" {
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
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		change func(*testing.T, account)
		kind   string
	}{
		"nothing is wrong": {func(*testing.T, account) {}, ""},
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
		"the value is unusable": {func(t *testing.T, c account) {
			_, err := c.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &c.secret, SecretString: aws.String("[]")})
			must(t, err)
		}, "SecretUnusable"},
		"Panther is unreachable": {func(_ *testing.T, c account) { c.pantherDown.Store(true) }, "PantherUnavailable"},
		"a rotation is stuck": {func(t *testing.T, c account) {
			_, err := c.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &c.secret, SecretString: aws.String("x"), VersionStages: []string{"AWSPENDING"}})
			must(t, err)
			old := func(answer map[string]any) {
				versions, _ := answer["Versions"].([]any)
				for _, v := range versions {
					v.(map[string]any)["CreatedDate"] = time.Now().Add(-25 * time.Hour).Unix()
				}
			}
			c.changed.Store(&old)
		}, "RotationStuck"},
		"a rotation is under way": {func(t *testing.T, c account) {
			_, err := c.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &c.secret, SecretString: aws.String("x"), VersionStages: []string{"AWSPENDING"}})
			must(t, err)
			c.Panther.Revoke(c.standby)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := openChecked(t)
			time.Sleep(300 * time.Millisecond) // the tokens must not count as young
			tc.change(t, c)
			kinds, heartbeat := c.check(t)
			var want []string
			if tc.kind != "" {
				want = []string{tc.kind}
			}
			if !slices.Equal(kinds, want) || !heartbeat {
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
