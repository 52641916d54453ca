package secretsmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const functionARN = "arn:aws:lambda:eu-west-1:123456789012:function:rotate"

// account is a service with one secret in it: "panther", whose version 1 holds
// the value "one" and is AWSCURRENT. Its rotation function is a well-behaved one,
// but for what a hook does at the beginning of a step.
type account struct {
	*sdk.Client
	t      *testing.T
	server *Server
	url    string
	arn    string

	mu      sync.Mutex
	hook    hook
	heard   func(Event) // called at each event; nil if nobody listens
	events  []Event
	calls   []Call
	invoked []event
}

// A hook comes before what the function does. errDone means that this is all.
type hook func(ctx context.Context, e event) error

var errDone = errors.New("nothing else to do")

func (a *account) hooked(h hook) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hook = h
}

// forget forgets what happened.
func (a *account) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events, a.invoked = nil, nil
}

// openAccount serves it over HTTP.
func openAccount(t *testing.T, o Options) *account {
	return newAccount(t, o, func(a *account) *http.Client {
		server := httptest.NewServer(a.server)
		a.url = server.URL
		t.Cleanup(server.Close)
		return server.Client()
	})
}

// openInBubble serves it without a network, for tests that control time.
func openInBubble(t *testing.T, o Options) *account {
	return newAccount(t, o, func(a *account) *http.Client {
		a.url = "http://127.0.0.1"
		return &http.Client{Transport: inProcess{a.server}}
	})
}

type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	p.handler.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

func newAccount(t *testing.T, o Options, serve func(a *account) *http.Client) *account {
	t.Helper()
	a := &account{t: t}
	o.Invoke = a.invoke
	o.HasFunction = func(arn string) bool { return arn == functionARN }
	o.OnEvent = a.onEvent
	o.OnCall = func(c Call) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.calls = append(a.calls, c)
	}
	a.server = New(o)
	a.Client = sdk.New(sdk.Options{
		Region:     "eu-west-1",
		HTTPClient: serve(a),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
		BaseEndpoint: &a.url,
		Retryer:      aws.NopRetryer{},
	})
	t.Cleanup(a.server.Close) // before its listener: it ends requests that hang
	out, err := a.CreateSecret(t.Context(), &sdk.CreateSecretInput{
		Name: aws.String("panther"), ClientRequestToken: id(1), SecretString: aws.String("one"),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.arn = *out.ARN
	return a
}

func (a *account) onEvent(e Event) {
	a.mu.Lock()
	a.events = append(a.events, e)
	heard := a.heard
	a.mu.Unlock()
	if heard != nil {
		heard(e)
	}
	// Whoever listens may ask the service at once.
	if _, err := a.DescribeSecret(context.Background(), &sdk.DescribeSecretInput{SecretId: &e.SecretARN}); err != nil {
		a.t.Error(err)
	}
}

// invoke is the rotation function: it makes checks and calls in the order in
// which AWS's templates do.
func (a *account) invoke(ctx context.Context, arn string, payload []byte) error {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return err
	}
	a.mu.Lock()
	a.invoked = append(a.invoked, e)
	hook := a.hook
	a.mu.Unlock()
	if arn != functionARN {
		return fmt.Errorf("invoked as %s", arn)
	}
	if hook != nil {
		if err := hook(ctx, e); errors.Is(err, errDone) {
			return nil
		} else if err != nil {
			return err
		}
	}
	d, err := a.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: &e.SecretId})
	if err != nil {
		return err
	}
	labels := d.VersionIdsToStages[e.ClientRequestToken]
	switch {
	case !aws.ToBool(d.RotationEnabled):
		return errors.New("rotation is not enabled")
	case slices.Contains(labels, "AWSCURRENT"):
		return nil
	case !slices.Contains(labels, "AWSPENDING"):
		return errors.New("AWSPENDING is not on the version")
	}
	switch e.Step {
	case "createSecret":
		if _, err := a.get(e.ClientRequestToken, ""); err == nil {
			return nil
		}
		_, err = a.PutSecretValue(ctx, &sdk.PutSecretValueInput{
			SecretId: &e.SecretId, ClientRequestToken: &e.ClientRequestToken, RotationToken: &e.RotationToken,
			SecretString: aws.String("value of " + e.ClientRequestToken), VersionStages: []string{"AWSPENDING"},
		})
	case "finishSecret":
		for holder, labels := range d.VersionIdsToStages {
			if slices.Contains(labels, "AWSCURRENT") {
				err = a.move("AWSCURRENT", e.ClientRequestToken, holder)
			}
		}
	}
	return err
}

// id is a version id with n at its end.
func id(n int) *string { return aws.String(fmt.Sprintf("%032d", n)) }

func (a *account) put(version *string, value string, labels ...string) error {
	_, err := a.PutSecretValue(a.t.Context(), &sdk.PutSecretValueInput{
		SecretId: &a.arn, ClientRequestToken: version, SecretString: &value, VersionStages: labels,
	})
	return err
}

// get reads a value; "" stands for a parameter that is not given.
func (a *account) get(version, label string) (string, error) {
	in := &sdk.GetSecretValueInput{SecretId: &a.arn}
	if version != "" {
		in.VersionId = &version
	}
	if label != "" {
		in.VersionStage = &label
	}
	out, err := a.GetSecretValue(context.Background(), in)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.SecretString), nil
}

func (a *account) move(label, to, from string) error {
	in := &sdk.UpdateSecretVersionStageInput{SecretId: &a.arn, VersionStage: &label}
	if to != "" {
		in.MoveToVersionId = &to
	}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	_, err := a.UpdateSecretVersionStage(context.Background(), in)
	return err
}

func (a *account) describe() *sdk.DescribeSecretOutput {
	a.t.Helper()
	out, err := a.DescribeSecret(a.t.Context(), &sdk.DescribeSecretInput{SecretId: &a.arn})
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// labels returns what DescribeSecret shows, such as "1 AWSPREVIOUS, 2 AWSCURRENT".
// Ids lose their zeros.
func (a *account) labels() string {
	a.t.Helper()
	stages := a.describe().VersionIdsToStages
	var all []string
	for _, version := range slices.Sorted(maps.Keys(stages)) {
		slices.Sort(stages[version])
		all = append(all, strings.TrimLeft(version, "0")+" "+strings.Join(stages[version], " "))
	}
	return strings.Join(all, ", ")
}

func (a *account) wantLabels(want string) {
	a.t.Helper()
	if got := a.labels(); got != want {
		a.t.Errorf("labels are %q, want %q", got, want)
	}
}

func (a *account) wantValue(version, label, want string) {
	a.t.Helper()
	if got, err := a.get(version, label); got != want || err != nil {
		a.t.Errorf("the value of %s%s is %q, %v; want %q", version, label, got, err, want)
	}
}

// wantError checks an error's code and the beginning of its message; code "" wants
// success.
func wantError(t *testing.T, err error, code, message string) {
	t.Helper()
	if code == "" {
		if err != nil {
			t.Errorf("it failed: %v", err)
		}
		return
	}
	failure, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		t.Errorf("the error is %v, want %s", err, code)
		return
	}
	if failure.ErrorCode() != code || !strings.HasPrefix(failure.ErrorMessage(), message) {
		t.Errorf("the error is %s: %s\nwant %s: %s", failure.ErrorCode(), failure.ErrorMessage(), code, message)
	}
}

// rotate calls RotateSecret for a version id.
func (a *account) rotate(version *string, change ...func(*sdk.RotateSecretInput)) error {
	in := &sdk.RotateSecretInput{SecretId: &a.arn, ClientRequestToken: version, RotationLambdaARN: aws.String(functionARN)}
	for _, change := range change {
		change(in)
	}
	out, err := a.RotateSecret(a.t.Context(), in)
	if err == nil && (*out.ARN != a.arn || *out.Name != "panther" || *out.VersionId != *in.ClientRequestToken) {
		a.t.Errorf("RotateSecret answers %s, %s, %s", *out.ARN, *out.Name, *out.VersionId)
	}
	return err
}

// rotated is rotate, and waits until no rotation runs.
func (a *account) rotated(version *string, change ...func(*sdk.RotateSecretInput)) error {
	err := a.rotate(version, change...)
	a.idle()
	return err
}

func (a *account) idle() {
	a.t.Helper()
	if err := a.server.AwaitIdle(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

// story returns the events, in short.
func (a *account) story() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for _, e := range a.events {
		if e.Name == "StepStarted" {
			names = append(names, e.Step)
		} else if e.Name != "StepSucceeded" {
			names = append(names, e.Name)
		}
	}
	return strings.Join(names, " ")
}

func (a *account) wantStory(want string) {
	a.t.Helper()
	if got := a.story(); got != want {
		a.t.Errorf("what happened:\n%s\nwant\n%s", got, want)
	}
}
