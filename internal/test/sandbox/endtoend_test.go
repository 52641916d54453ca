package sandbox_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"panther-token-rotation/internal/test/sandbox"
	pantherapi "panther-token-rotation/internal/test/sandbox/panther"
	manager "panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// binary is the function, built once for all tests as make build does.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "endtoend-")
	if err != nil {
		panic(err)
	}
	if binary, err = sandbox.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = flag.Set("test.parallel", "16") // the tests mostly wait, for pauses of the AWS SDK
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// account is a sandbox with one secret in it, and everything that was logged.
type account struct {
	*sandbox.Sandbox
	t      *testing.T
	client *secretsmanager.Client
	secret string // its ARN
	token  string // the first one

	mu      sync.Mutex
	log     []string
	events  []manager.Event
	calls   []manager.Call
	secrets []string // what must not be in the log, next to tokens of Panther
}

const (
	valueBefore = "{ \"PANTHER_API_URL\":\"https://api.acme.runpanther.net\",\n  \"PANTHER_API_TOKEN\" : \""
	valueAfter  = "\", \"port\":4.430e2 }\n"
)

func openAccount(t *testing.T, o sandbox.Options) *account {
	t.Helper()
	a := &account{t: t}
	o.Binary = binary
	o.Log = func(line string) { a.note(func() { a.log = append(a.log, line) }) }
	o.SecretsManager.OnEvent = func(e manager.Event) { a.note(func() { a.events = append(a.events, e) }) }
	o.SecretsManager.OnCall = func(c manager.Call) { a.note(func() { a.calls = append(a.calls, c) }) }
	if o.SecretsManager.RetryPause == 0 {
		o.SecretsManager.RetryPause = 10 * time.Millisecond
	}
	if o.Env == nil {
		o.Env = map[string]string{}
	}
	o.Env["LOG_LEVEL"] = "debug"
	s, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	a.Sandbox = s
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		a.sweep()
	})

	a.client = secretsmanager.New(secretsmanager.Options{
		Region:       s.Region,
		BaseEndpoint: &s.SecretsManagerURL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
	})
	a.token = s.Panther.NewToken("rotated")
	a.secret = a.create("panther", valueBefore+a.token+valueAfter)
	time.Sleep(2 * time.Millisecond) // dates have milliseconds, and versions made later must be younger
	a.note(func() { a.calls = nil })
	return a
}

func (a *account) note(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *account) create(name, value string) (arn string) {
	a.t.Helper()
	out, err := a.client.CreateSecret(a.t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
	if err != nil {
		a.t.Fatal(err)
	}
	return *out.ARN
}

// rotate calls RotateSecret and waits until Secrets Manager is done with it.
func (a *account) rotate(change ...func(*secretsmanager.RotateSecretInput)) (versionID string) {
	a.t.Helper()
	in := &secretsmanager.RotateSecretInput{SecretId: &a.secret, RotationLambdaARN: aws.String(a.Function.ARN())}
	for _, change := range change {
		change(in)
	}
	out, err := a.client.RotateSecret(a.t.Context(), in)
	if err != nil && !strings.Contains(err.Error(), "That rotation will be reattempted") {
		a.t.Fatal(err)
	}
	if err := a.SecretsManager.AwaitIdle(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	if out == nil {
		return ""
	}
	return aws.ToString(out.VersionId)
}

// current returns the token of AWSCURRENT, and checks that the rest of the value
// is as it was.
func (a *account) current() string {
	a.t.Helper()
	out, err := a.client.GetSecretValue(a.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &a.secret})
	if err != nil {
		a.t.Fatal(err)
	}
	value := *out.SecretString
	if !strings.HasPrefix(value, valueBefore) || !strings.HasSuffix(value, valueAfter) {
		a.t.Fatal("more than the token changed in the value")
	}
	return value[len(valueBefore) : len(value)-len(valueAfter)]
}

func (a *account) mustLive(token string) {
	a.t.Helper()
	if status := a.Panther.Status(token); status != pantherapi.Living {
		a.t.Errorf("the AWSCURRENT token is %v; events: %s", status, a.story())
	}
}

func (a *account) labels() map[string][]string {
	a.t.Helper()
	out, err := a.client.DescribeSecret(a.t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &a.secret})
	if err != nil {
		a.t.Fatal(err)
	}
	return out.VersionIdsToStages
}

// failures returns what the failed steps said.
func (a *account) failures() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var said []string
	for _, e := range a.events {
		if e.Err != nil {
			said = append(said, e.Err.Error())
		}
	}
	return strings.Join(said, "\n")
}

func (a *account) story() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lines []string
	for _, e := range a.events {
		lines = append(lines, strings.TrimSpace(fmt.Sprint(e.Name, " ", e.Step, " ", e.Err)))
	}
	return strings.Join(lines, "; ")
}

func (a *account) rotations() (n int) {
	for _, c := range a.Panther.Calls() {
		if c.Operation == pantherapi.RotateAPIToken {
			n++
		}
	}
	return n
}

// sweep searches all that was ever logged for the tokens that ever existed,
// whole and in parts of eight characters, as they are, in base64 and escaped
// for a URL.
func (a *account) sweep() {
	a.mu.Lock()
	output := strings.Join(a.log, "\n")
	a.mu.Unlock()
	// The sealed block holds tokens on purpose, and is random to a search.
	for _, confidential := range append(a.Panther.Issued(), a.secrets...) {
		for i := 0; i+8 <= len(confidential); i++ {
			part := confidential[i : i+8]
			for _, form := range []string{part, url.QueryEscape(part)} {
				if strings.Contains(output, form) {
					a.t.Fatalf("a part of a token was logged: …%s…", around(output, form))
				}
			}
		}
		for offset := range 3 {
			encoded := base64.StdEncoding.EncodeToString([]byte(confidential[offset:]))
			if strings.Contains(output, encoded[:16]) {
				a.t.Fatal("a token was logged in base64")
			}
		}
	}
}

func around(output, form string) string {
	i := strings.Index(output, form)
	return output[max(0, i-80):min(len(output), i+20)]
}

// logged returns the value of a field in the first line of the function's log
// that has it.
func (a *account) logged(field string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, line := range a.log {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) != nil {
			continue
		}
		if value, ok := fields[field].(string); ok {
			return value
		}
	}
	return ""
}

func TestRotation(t *testing.T) {
	t.Parallel()
	a := openAccount(t, sandbox.Options{Panther: pantherapi.Options{PropagationDelay: 600 * time.Millisecond}})
	before := slices.Collect(func(yield func(string) bool) {
		for id := range a.labels() {
			yield(id)
		}
	})
	a.note(func() { a.calls = nil })

	id := a.rotate()

	a.mu.Lock()
	calls := len(a.calls) - 1 // but RotateSecret itself
	a.mu.Unlock()
	fresh := a.current()
	a.mustLive(fresh)
	if fresh == a.token || a.Panther.Status(a.token) == pantherapi.Living {
		t.Error("the old token was not replaced")
	}
	labels := a.labels()
	if !slices.Equal(labels[id], []string{"AWSCURRENT"}) || !slices.Equal(labels[before[0]], []string{"AWSPREVIOUS"}) {
		t.Errorf("labels are %v", labels)
	}
	if a.rotations() != 1 {
		t.Errorf("rotateAPIToken was called %d times", a.rotations())
	}
	if calls != 12 {
		t.Errorf("the rotation took %d calls to Secrets Manager, want 12", calls)
	}
}

func TestPlainTokenKeepsItsNewline(t *testing.T) {
	t.Parallel()
	a := openAccount(t, sandbox.Options{})
	token := a.Panther.NewToken("plain")
	a.secret = a.create("plain", token+"\n")
	a.rotate()
	out, err := a.client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &a.secret})
	if err != nil {
		t.Fatal(err)
	}
	fresh, ok := strings.CutSuffix(*out.SecretString, "\n")
	if !ok || fresh == token {
		t.Error("the token was not replaced, or its newline was lost")
	}
	a.mustLive(fresh)
}

func TestScheduleIsCheckedWithoutRotating(t *testing.T) {
	t.Parallel()
	a := openAccount(t, sandbox.Options{})
	a.rotate(func(in *secretsmanager.RotateSecretInput) {
		in.RotateImmediately = aws.Bool(false)
		in.RotationRules = &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)}
	})
	if !strings.Contains(a.story(), "TestRotationSucceeded") || a.rotations() != 0 || a.current() != a.token {
		t.Errorf("the check did not pass, or it rotated: %s", a.story())
	}
	a.mustLive(a.token)
}

func TestWrongURLShowsWhenTheScheduleIsChecked(t *testing.T) {
	t.Parallel()
	a := openAccount(t, sandbox.Options{Panther: pantherapi.Options{Fault: func(pantherapi.Request) *pantherapi.Fault {
		return &pantherapi.Fault{Kind: pantherapi.WebPage, Status: 404}
	}}})
	a.rotate(func(in *secretsmanager.RotateSecretInput) { in.RotateImmediately = aws.Bool(false) })
	if !strings.Contains(a.failures(), "EndpointMisconfigured") {
		t.Errorf("no word of the URL: %s", a.story())
	}
	a.mustLive(a.token)
}

func TestQuirksOfTheRealServices(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]sandbox.Options{
		"reads lag":         {SecretsManager: manager.Options{ReadLag: 400 * time.Millisecond}},
		"throttled":         {SecretsManager: manager.Options{ThrottleEvery: 4}},
		"old token lives":   {Panther: pantherapi.Options{OldTokenGrace: time.Minute}},
		"403, not 401":      {Panther: pantherapi.Options{ForbiddenInsteadOf401: true, PropagationDelay: 300 * time.Millisecond}},
		"Panther throttles": {Panther: pantherapi.Options{Throttle: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openAccount(t, o)
			if o.SecretsManager.ReadLag > 0 {
				time.Sleep(o.SecretsManager.ReadLag) // until the first value is seen
			}
			a.rotate()
			if o.SecretsManager.ReadLag > 0 {
				time.Sleep(o.SecretsManager.ReadLag)
			}
			fresh := a.current()
			if fresh == a.token {
				t.Errorf("the token was not replaced: %s", a.story())
			}
			a.mustLive(fresh)
		})
	}
}
