package sandbox_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	pantherapi "panther-token-rotation/internal/test/sandbox/panther"
	manager "panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// faulty opens an account whose secret is the one that faults are about.
func faulty(t *testing.T, timeout time.Duration, attempts int) *account {
	t.Helper()
	a := openAccount(t, sandbox.Options{Env: short(), Timeout: timeout, SecretsManager: manager.Options{RotationAttempts: attempts}})
	a.token = a.Panther.NewToken("faulty")
	a.secret = a.create(sandbox.SecretName, valueBefore+a.token+valueAfter)
	time.Sleep(time.Second) // the first token must not count as young
	return a
}

func (a *account) on(fault string) {
	a.t.Helper()
	if _, err := a.On(a.t.Context(), fault); err != nil {
		a.t.Fatal(err)
	}
}

func (a *account) off(fault string) {
	a.t.Helper()
	if _, err := a.Off(a.t.Context(), fault); err != nil {
		a.t.Fatal(err)
	}
}

func TestFaultsHaveTheFunctionFailAsTheySay(t *testing.T) {
	t.Parallel()
	for fault, kind := range map[string]string{
		"answer-lost":      "TokenLost",
		"process-dies":     "Runtime.ExitError",
		"token-dies":       "TokenRefused",
		"slow-propagation": "NotYetWorking",
		"saved-by-hand":    "StaleSave",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			a := faulty(t, 0, 1)
			a.on(fault)
			a.rotate()
			if !strings.Contains(a.failures(), kind) {
				t.Errorf("not %s: %s", kind, a.story())
			}
			end := "RotationFailed"
			if fault == "saved-by-hand" {
				end = "RotationAbandoned"
			}
			a.mustBeRecorded(t, end)
		})
	}
}

// mustBeRecorded looks for the end of the rotation in CloudTrail, as the aws CLI asks it.
func (a *account) mustBeRecorded(t *testing.T, end string) {
	t.Helper()
	body := `{"LookupAttributes":[{"AttributeKey":"EventName","AttributeValue":"` + end + `"}]}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.SecretsManagerURL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Amz-Target", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var found struct {
		Events []struct{ EventName, CloudTrailEvent string }
	}
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	if len(found.Events) == 0 || !strings.Contains(found.Events[0].CloudTrailEvent, a.secret) {
		t.Errorf("CloudTrail has %v", found)
	}
}

func TestARotationGoesOnWhenTheFaultIsOff(t *testing.T) {
	t.Parallel()
	for fault, logged := range map[string]string{"write-fails": "store_failed", "panther-unreachable": "rotate_failed"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			a := faulty(t, 0, 1)
			a.on(fault)
			_, err := a.client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &a.secret, RotationLambdaARN: aws.String(a.Function.ARN())})
			if err != nil {
				t.Fatal(err)
			}
			a.awaitLogged(logged)
			a.off(fault)
			if err := a.SecretsManager.AwaitIdle(t.Context()); err != nil {
				t.Fatal(err)
			}
			tokens, _, err := a.Tokens(t.Context(), "AWSCURRENT")
			if err != nil {
				t.Fatal(err)
			}
			if tokens[0] == a.token || a.Panther.Status(tokens[0]) != pantherapi.Living {
				t.Errorf("it did not rotate: %s", a.story())
			}
		})
	}
}

// TestRetiringIsTheLastChanceToStore: the process holds a token, and gets notice
// when writes work again.
func TestRetiringIsTheLastChanceToStore(t *testing.T) {
	t.Parallel()
	a := faulty(t, 38*time.Second, 1)
	a.on("write-fails")
	if _, err := a.client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &a.secret, RotationLambdaARN: aws.String(a.Function.ARN())}); err != nil {
		t.Fatal(err)
	}
	a.awaitLogged("store_failed")
	a.off("write-fails")
	a.on("process-retires")
	if err := a.SecretsManager.AwaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(a.failures(), "Runtime.ExitError") {
		t.Errorf("no process ended: %s", a.story())
	}
	if !a.stored() {
		t.Errorf("the process stored nothing: %s", a.story())
	}
}

// TestRetiringStoresNothingWhileWritesFail: one fault does not end another.
func TestRetiringStoresNothingWhileWritesFail(t *testing.T) {
	t.Parallel()
	a := faulty(t, 38*time.Second, 1)
	a.on("write-fails")
	if _, err := a.client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &a.secret, RotationLambdaARN: aws.String(a.Function.ARN())}); err != nil {
		t.Fatal(err)
	}
	a.awaitLogged("store_failed")
	a.on("process-retires")
	if err := a.SecretsManager.AwaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a.stored() {
		t.Errorf("a write worked: %s", a.story())
	}
}

// TestAProcessDiesOnce: the attempt after it finds the token dead, as there is
// none to store.
func TestAProcessDiesOnce(t *testing.T) {
	t.Parallel()
	a := faulty(t, 0, 2)
	a.on("process-dies")
	a.rotate()
	if said := a.failures(); strings.Count(said, "signal: killed") != 1 || !strings.Contains(said, "TokenRefused") {
		t.Errorf("the failures are %s", said)
	}
}

// TestASaveByHandIsOfTheSecretThatRotates: it is not always SecretName, and waits
// while writes fail, as a person's would.
func TestASaveByHandIsOfTheSecretThatRotates(t *testing.T) {
	t.Parallel()
	a := faulty(t, 0, 1)
	a.token = a.Panther.NewToken("another")
	a.secret = a.create("another", valueBefore+a.token+valueAfter)
	a.on("saved-by-hand")
	a.on("write-fails")
	if _, err := a.client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &a.secret, RotationLambdaARN: aws.String(a.Function.ARN())}); err != nil {
		t.Fatal(err)
	}
	a.awaitLogged("store_failed")
	if !a.IsOn("saved-by-hand") {
		t.Error("it was saved while writes failed")
	}
	a.off("write-fails")
	if err := a.SecretsManager.AwaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(a.failures(), "StaleSave") || a.IsOn("saved-by-hand") {
		t.Errorf("not StaleSave: %s", a.story())
	}
}

// stored reports whether the function logged that it stored a new token.
func (a *account) stored() bool {
	log := strings.Join(a.Logs.Lines(), "\n")
	return strings.Contains(log, "token_stored") || strings.Contains(log, "successor_stored")
}

// awaitLogged waits until the function has logged a text.
func (a *account) awaitLogged(text string) {
	a.t.Helper()
	for giveUp := time.Now().Add(20 * time.Second); !slices.ContainsFunc(a.Logs.Lines(), func(line string) bool { return strings.Contains(line, text) }); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(giveUp) {
			a.t.Fatalf("%s is not in the log: %s", text, a.story())
		}
	}
}
