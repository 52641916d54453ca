package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write testdata/transcript.txt anew")

func noVariables(string) string { return "" }

// output is what the sandbox has printed so far.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until the sandbox has printed a text n times.
func (o *output) await(t *testing.T, text string, n int) {
	t.Helper()
	for giveUp := time.Now().Add(30 * time.Second); strings.Count(o.String(), text) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatalf("%q has not been printed %d times:\n%s", text, n, o.String())
		}
	}
}

// start runs the command and returns what it prints and a function that ends it
// as Ctrl-C does.
func start(t *testing.T, args ...string) (*output, func()) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	ctx, cancel := context.WithCancel(t.Context())
	stdout, stderr, code := &output{}, &output{}, make(chan int)
	go func() { code <- run(ctx, args, stdout, stderr, noVariables) }()
	end := sync.OnceFunc(func() {
		cancel()
		if got := <-code; got != 0 {
			t.Errorf("exit code %d; %s", got, stderr)
		}
		goleak.VerifyNone(t)
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	t.Cleanup(end)
	stdout.await(t, "Here follows", 1)
	return stdout, end
}

// settled is a transcript without what differs from run to run.
func settled(transcript string) string {
	transcript = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(transcript, "127.0.0.1:1234")
	return regexp.MustCompile(`[A-Z2-7]{52}`).ReplaceAllString(transcript, "TOKEN")
}

func TestTranscript(t *testing.T) {
	stdout, end := start(t)
	end()
	golden := filepath.Join("testdata", "transcript.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(settled(stdout.String())), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), settled(stdout.String())); diff != "" {
		t.Errorf("the sandbox says something else (-want +got):\n%s", diff)
	}
}

// TestPrintedLinesRotate does what the printed lines say, but with the SDK.
func TestPrintedLinesRotate(t *testing.T) {
	stdout, _ := start(t, "-propagation", "0", "-speed", "72000", "-token-key", "it's-the-token", "-log-level", "warn")
	find := func(form string, n int) string {
		t.Helper()
		found := regexp.MustCompile(form).FindAllStringSubmatch(stdout.String(), -1)
		if len(found) <= n {
			t.Fatalf("%s is not printed %d times:\n%s", form, n+1, stdout)
		}
		return found[n][1]
	}
	client := secretsmanager.New(secretsmanager.Options{
		Region:       find(`AWS_REGION=(\S+)`, 0),
		BaseEndpoint: aws.String(find(`AWS_ENDPOINT_URL=(\S+)`, 0)),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
	rotate := func(n int, rules *types.RotationRulesType) {
		t.Helper()
		name := aws.String(find(`create-secret --name (\S+)`, n))
		value := strings.ReplaceAll(find(`--secret-string '(.*)'\n`, n), `'\''`, "'") // as a shell does
		if !strings.HasPrefix(value, `{"it's-the-token":`) {
			t.Errorf("the value is %s", value)
		}
		if _, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: name, SecretString: &value}); err != nil {
			t.Fatal(err)
		}
		_, err := client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{
			SecretId: name, RotationLambdaARN: aws.String(find(`--rotation-lambda-arn (\S+)`, n)), RotationRules: rules,
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	rotate(0, &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)})
	stdout.await(t, "RotationSucceeded  acme/panther, version ", 1)
	rotate(1, &types.RotationRulesType{ScheduleExpression: aws.String(find(`"ScheduleExpression":"(.*?)"`, 0))})
	stdout.await(t, "RotationSucceeded  acme/panther-scheduled, version ", 3)

	for _, want := range []string{"At -speed 72000, every 4 hours is every 200ms:", "StepSucceeded testSecret", "\nREPORT RequestId: "} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is not printed:\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout.String(), `"level":"INFO"`) {
		t.Error("-log-level has no effect on the function")
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"-h", 0, "-recovery-recipient"},
		{"-nonsense", 2, "not defined"},
		{"-speed 0", 2, "-speed has to be above 0"},
		{"-speed NaN", 2, "-speed has to be above 0"},
		{"-timeout 0", 2, "-timeout has to be above 0"},
		{"nonsense", 2, "flags only"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(c.args), &stdout, &stderr, noVariables)
		if code != c.code || !strings.Contains(stderr.String(), c.says) || stdout.Len() > 0 {
			t.Errorf("%s: exit code %d, %s", c.args, code, stderr.String())
		}
	}
}
