//go:build verify

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"panther-token-rotation/internal/test/sandbox/panther"
	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// account is our Secrets Manager with Panther, and with the function's binary under
// AWS's Lambda runtime interface emulator
// (https://github.com/aws/aws-lambda-runtime-interface-emulator).
type account struct {
	endpoint
	panther *panther.API

	mu       sync.Mutex
	failures []error
}

// failed returns why steps failed.
func (a *account) failed() []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.failures)
}

func openAccount(t *testing.T) *account {
	t.Helper()
	emulator := os.Getenv("AWS_LAMBDA_RIE")
	if emulator == "" {
		t.Fatal("AWS_LAMBDA_RIE has to be the path of AWS's Lambda runtime interface emulator, make verify installs it")
	}
	a := &account{}
	address := freePort(t)
	manager := secretsmanager.New(secretsmanager.Options{
		RotationAttempts: 1,
		HasFunction:      func(arn string) bool { return arn == functionARN },
		Invoke: func(ctx context.Context, _ string, event []byte) error {
			return invoke(ctx, "http://"+address+"/2015-03-31/functions/function/invocations", event)
		},
		OnEvent: func(e secretsmanager.Event) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if e.Name == "StepFailed" {
				a.failures = append(a.failures, e.Err)
			}
		},
	})
	server := httptest.NewServer(manager)
	t.Cleanup(func() { manager.Close(); server.Close() })
	a.endpoint = endpoint{client: newClient(server.URL), function: functionARN, patience: 30 * time.Second, pause: 10 * time.Millisecond}

	var pantherURL string
	a.panther, pantherURL = startPanther(t)
	binary := buildFunction(t)
	t.Cleanup(func() { mustHaveEnded(t, binary) })
	startServer(t, address, []string{
		"AWS_LAMBDA_FUNCTION_NAME=conformance",
		"AWS_LAMBDA_FUNCTION_TIMEOUT=60",
		"AWS_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY=example",
		"AWS_ENDPOINT_URL_SECRETS_MANAGER=" + server.URL,
		"PANTHER_API_URL=" + pantherURL,
		"PROPAGATION_TIMEOUT=10s",
	}, emulator, "--runtime-interface-emulator-address", address, "--runtime-api-address", freePort(t), binary)
	return a
}

// invoke has the emulator invoke the function. Its answer has HTTP status 200 also if
// the function failed.
func invoke(ctx context.Context, url string, event []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(event))
	if err != nil {
		return err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var failure struct{ ErrorType, ErrorMessage string }
	switch err := json.Unmarshal(body, &failure); {
	case err != nil, response.StatusCode != http.StatusOK:
		return fmt.Errorf("the emulator answers %s: %s", response.Status, body)
	case failure.ErrorType != "":
		return fmt.Errorf("%s: %s", failure.ErrorType, failure.ErrorMessage)
	}
	return nil
}

// mustHaveEnded fails the test if a program still runs.
func mustHaveEnded(t *testing.T, program string) {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		switch running := processes(t, program); {
		case len(running) == 0:
			return
		case time.Now().After(deadline):
			t.Errorf("still running: %v", running)
			return
		}
	}
}

// processes returns where /proc has the processes that run a program.
func processes(t *testing.T, program string) (running []string) {
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil || len(all) == 0 {
		t.Fatalf("no processes to be seen: %v", err)
	}
	for _, link := range all {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, program) {
			running = append(running, link)
		}
	}
	return running
}

func TestFunctionRotatesUnderAWSsEmulator(t *testing.T) {
	a := openAccount(t)
	token := a.panther.NewToken("rotated")
	s := newSecret(t, a.endpoint, valueBefore+token+valueAfter)
	s.must(t, rotate(2), await("1 AWSPREVIOUS, 2 AWSCURRENT"), reads(0, "AWSPREVIOUS", valueBefore+token+valueAfter))
	second := s.mustLive(t, a.panther)
	if second == token {
		t.Error("the token was not rotated")
	}
	s.must(t, rotate(3), await("2 AWSPREVIOUS, 3 AWSCURRENT")) // in the same process
	if third := s.mustLive(t, a.panther); third == second {
		t.Error("the token was not rotated again")
	}
	if failures := a.failed(); len(failures) > 0 {
		t.Errorf("steps failed: %v", failures)
	}
}

func TestFailureHasItsErrorTypeUnderAWSsEmulator(t *testing.T) {
	a := openAccount(t)
	s := newSecret(t, a.endpoint, `{"PANTHER_API_TOKENS": "a key that is not the one"}`)
	s.must(t, rotate(2), step{"the rotation", func(ctx context.Context, s *secret) error {
		return s.within(ctx, s.patience, func() error {
			if len(a.failed()) == 0 {
				return difference("no step fails")
			}
			return nil
		})
	}}, labels("1 AWSCURRENT, 2 AWSPENDING"))
	if got := a.failed()[0].Error(); !strings.HasPrefix(got, "SecretUnusable: ") || strings.Contains(got, "the emulator answers") {
		t.Errorf("the step failed with %s", got)
	}
}
