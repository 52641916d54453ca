package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

var update = flag.Bool("update", false, "write testdata/transcript.txt again")

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
	return startUntil(t, "Here follows", args...)
}

func startUntil(t *testing.T, printed string, args ...string) (*output, func()) {
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
	stdout.await(t, printed, 1)
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

// pasted has a shell take the printed lines. It returns the arguments of each aws
// command and the variables that the commands would see.
func pasted(t *testing.T, printed string) (commands [][]string, getenv func(string) string) {
	t.Helper()
	script := "aws() { printf '%s\\n' \"$@\" --; }; curl() { :; }\n"
	for line := range strings.Lines(printed) {
		if strings.HasPrefix(line, "  ") {
			script += line
		}
	}
	shown, err := exec.Command("sh", "-ec", script+"env").Output()
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(shown), "\n--\n")
	for _, part := range parts[:len(parts)-1] {
		commands = append(commands, strings.Split(part, "\n"))
	}
	env := strings.Split(parts[len(parts)-1], "\n")
	return commands, func(name string) string {
		for _, variable := range env {
			if value, ok := strings.CutPrefix(variable, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

func newClient(getenv func(string) string) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{
		Region:       getenv("AWS_REGION"),
		BaseEndpoint: aws.String(getenv("AWS_ENDPOINT_URL")),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: getenv("AWS_SECRET_ACCESS_KEY")}, nil
		}),
	})
}

// carryOut does what the aws CLI would do, given these arguments.
func carryOut(t *testing.T, client *secretsmanager.Client, command []string) error {
	t.Helper()
	argument := func(name string) *string {
		at := slices.Index(command, name)
		if at < 0 || at+1 == len(command) {
			t.Fatalf("%s is missing: %q", name, command)
		}
		return &command[at+1]
	}
	var err error
	switch command[1] {
	case "create-secret":
		_, err = client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
			Name: argument("--name"), SecretString: argument("--secret-string"),
		})
	case "rotate-secret":
		var rules types.RotationRulesType
		if err := json.Unmarshal([]byte(*argument("--rotation-rules")), &rules); err != nil {
			return err
		}
		_, err = client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{
			SecretId: argument("--secret-id"), RotationLambdaARN: argument("--rotation-lambda-arn"), RotationRules: &rules,
		})
	case "describe-secret":
		_, err = client.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: argument("--secret-id")})
	case "get-secret-value":
		_, err = client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: argument("--secret-id")})
	case "list-secret-version-ids":
		_, err = client.ListSecretVersionIds(t.Context(), &secretsmanager.ListSecretVersionIdsInput{SecretId: argument("--secret-id")})
	case "cancel-rotate-secret":
		_, err = client.CancelRotateSecret(t.Context(), &secretsmanager.CancelRotateSecretInput{SecretId: argument("--secret-id")})
	default:
		t.Fatalf("the test does not know %q", command)
	}
	return err
}

func TestInterruptIsNoFailure(t *testing.T) {
	stdout, end := start(t, "-propagation", "1m")
	commands, getenv := pasted(t, stdout.String())
	client := newClient(getenv)
	for _, command := range commands[:2] {
		if err := carryOut(t, client, command); err != nil {
			t.Fatal(err)
		}
	}
	stdout.await(t, "StepSucceeded setSecret", 1)
	before := len(stdout.String())
	end()
	if rest := stdout.String()[before:]; strings.Contains(rest, "Failed") || strings.Contains(rest, "ExitError") {
		t.Errorf("after the interrupt: %s", rest)
	}
}

// TestPrintedLinesRotate does what the printed lines say, as the aws CLI does it.
func TestPrintedLinesRotate(t *testing.T) {
	stdout, _ := start(t, "-propagation", "0", "-speed", "72000", "-token-key", "it's-the-token", "-log-level", "warn")
	commands, getenv := pasted(t, stdout.String())
	client := newClient(getenv)
	var done []string
	for _, command := range commands {
		if command[0] != "secretsmanager" {
			done = append(done, strings.Join(command[:2], " "))
			continue
		}
		if err := carryOut(t, client, command); err != nil {
			t.Errorf("%q: %v", command, err)
		}
		done = append(done, command[1])
	}

	want := []string{"create-secret", "rotate-secret", "describe-secret", "get-secret-value", "list-secret-version-ids",
		"create-secret", "rotate-secret", "logs tail", "lambda invoke"}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("other commands are printed (-want +got):\n%s", diff)
	}
	stdout.await(t, "RotationSucceeded  acme/panther-scheduled, version ", 3)
	stdout.await(t, "RotationSucceeded  acme/panther, version ", 1)
	for _, want := range []string{"At -speed 72000, every 4 hours is every 200ms:", "StepSucceeded testSecret", `"type":"platform.report"`} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is not printed:\n%s", want, stdout)
		}
	}
	for line := range strings.Lines(stdout.String()) {
		isMetric := strings.Contains(line, `"_aws":`) // whatever the level, it is written
		if strings.Contains(line, `"level":"INFO"`) && !isMetric {
			t.Errorf("-log-level has no effect on the function: %s", line)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"-drill rain", 2, "no drill \"rain\""},
		{"-drill token-lost -token-key a -timeout 5m", 2, "-timeout is set by the drill\n-token-key is set by the drill\n"},
		{"-propagation -1s -grace -1s -retry-pause -1s", 2, "-propagation must not be negative\n-grace must not be negative\n-retry-pause must not be"},
		{"-h", 0, "-recovery-recipient"},
		{"-nonsense", 2, "not defined"},
		{"-speed 0", 2, "-speed must be above 0"},
		{"-speed NaN", 2, "-speed must be above 0"},
		{"-timeout 20m", 2, "-timeout must be from 1s to 15m"},
		{"-recovery-recipient AGE-SECRET-KEY-1QQ", 2, "-recovery-recipient: "},
		{"-propagation-timeout soon", 2, "-propagation-timeout must be"},
		{"-log-level loud", 2, "-log-level must be"},
		{"-read-lag 1m", 2, "-read-lag must be"},
		{"-token-key a -standby-key a", 2, "-standby-key must differ"},
		{"-throttle-every -1 -panther-throttle-every -1 -grace -1s nonsense", 2, "flags only, not [\"nonsense\"]\n" +
			"-throttle-every must not be negative\n-panther-throttle-every must not be negative\n-grace must not be negative\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(c.args), &stdout, &stderr, noVariables)
		if code != c.code || !strings.Contains(stderr.String(), c.says) || stdout.Len() > 0 {
			t.Errorf("%s: exit code %d, %s", c.args, code, stderr.String())
		}
	}
}
