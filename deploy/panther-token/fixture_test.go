package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	pantherapi "panther-token-rotation/internal/test/sandbox/panther"
	manager "panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// binary is the function, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "panther-token-")
	if err != nil {
		panic(err)
	}
	if binary, err = sandbox.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = flag.Set("test.parallel", "12") // the tests mostly wait
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

const (
	name    = "acme/panther"
	active  = "PANTHER_API_TOKEN"
	standby = "PANTHER_API_TOKEN_STANDBY"
)

// desk is an operator's desk: a sandbox with one secret, which its function
// rotates, and everything that the tool ever wrote.
type desk struct {
	*sandbox.Sandbox
	t        *testing.T
	client   *secretsmanager.Client
	identity string // the file with the recovery key

	http aws.HTTPClient // of the tool, in place of the usual one

	mu      sync.Mutex
	written strings.Builder
	wrote   []manager.Call
	onAsk   func(pantherapi.Request) *pantherapi.Fault
}

// open starts a sandbox with a secret of one or two tokens, and has it rotated
// by the function from then on.
func open(t *testing.T, tokens int, change ...func(*sandbox.Options)) *desk {
	t.Helper()
	t.Parallel()
	d := &desk{t: t}
	recovery, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	d.identity = t.TempDir() + "/key.txt"
	if err := os.WriteFile(d.identity, []byte(recovery.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	o := sandbox.Options{
		Binary: binary,
		Env:    map[string]string{"PROPAGATION_TIMEOUT": "1s", "RECOVERY_RECIPIENT": recovery.Recipient().String()},
		Panther: pantherapi.Options{Fault: func(r pantherapi.Request) *pantherapi.Fault {
			if d.onAsk == nil {
				return nil
			}
			return d.onAsk(r)
		}},
		SecretsManager: manager.Options{RetryPause: 50 * time.Millisecond, RotationAttempts: 1, OnCall: func(c manager.Call) {
			isTools := strings.Contains(c.UserAgent, "app/tool")
			if isTools && slices.Contains([]string{"PutSecretValue", "CreateSecret", "UpdateSecretVersionStage", "RotateSecret"}, c.Operation) {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.wrote = append(d.wrote, c)
			}
		}},
	}
	for _, change := range change {
		change(&o)
	}
	if d.Sandbox, err = sandbox.Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		d.sweep()
	})
	d.client = secretsmanager.NewFromConfig(d.aws())
	if tokens > 0 {
		d.create(tokens)
	}
	return d
}

// create makes the secret, long enough ago that its tokens do not count as new.
func (d *desk) create(tokens int) {
	d.t.Helper()
	value := fmt.Sprintf("{\"url\": \"x\",\n %q: %q", active, d.Panther.NewToken("first"))
	if tokens == 2 {
		value += fmt.Sprintf(", %q: %q", standby, d.Panther.NewToken("second"))
	}
	d.must(d.client.CreateSecret(d.t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: aws.String(value + "}")}))
	d.must(d.client.RotateSecret(d.t.Context(), &secretsmanager.RotateSecretInput{
		SecretId: aws.String(name), RotationLambdaARN: aws.String(d.Function.ARN()), RotateImmediately: aws.Bool(false),
		RotationRules: rules(),
	}))
	if err := d.SecretsManager.AwaitIdle(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	time.Sleep(time.Second)
}

func (d *desk) must(_ any, err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) aws() aws.Config {
	return aws.Config{
		Region: d.Region, BaseEndpoint: &d.SecretsManagerURL,
		Credentials: credentials.NewStaticCredentialsProvider("sandbox", "sandbox", ""),
	}
}

// said is what a command wrote, and how it ended.
type said struct {
	args           []string
	code           int
	stdout, stderr string
}

func (s said) String() string {
	return fmt.Sprintf("$ panther-token %s\n%s%s[%d]\n", strings.Join(s.args, " "), s.stdout, s.stderr, s.code)
}

// run runs the tool. What it is typed goes to its prompts; without any, no
// terminal is there.
func (d *desk) run(typed string, args ...string) said {
	d.t.Helper()
	return d.runWith(d.t.Context(), typed, nil, args...)
}

func (d *desk) runWith(ctx context.Context, typed string, env map[string]string, args ...string) said {
	d.t.Helper()
	return d.runFrom(ctx, strings.NewReader(typed), env, args...)
}

func (d *desk) runFrom(ctx context.Context, stdin io.Reader, env map[string]string, args ...string) said {
	d.t.Helper()
	typed := ""
	if reader, ok := stdin.(*strings.Reader); ok {
		content, _ := io.ReadAll(reader)
		typed = string(content)
		stdin = strings.NewReader(typed)
	}
	var stdout, stderr bytes.Buffer
	code := run(ctx, machine{
		stdin: stdin, stdout: &stdout, stderr: &stderr,
		getenv:      func(name string) string { return env[name] },
		interactive: strings.HasSuffix(typed, "y\n") || strings.HasSuffix(typed, "n\n"),
		awsConfig: func(context.Context, ...func(*config.LoadOptions) error) (aws.Config, error) {
			cfg := d.aws()
			cfg.AppID = "tool"
			cfg.HTTPClient = d.http
			cfg.ClientLogMode = aws.LogRequestWithBody | aws.LogResponseWithBody // which would show values
			return cfg, nil
		},
		pauses: pauses{ask: 20 * time.Millisecond, poll: 50 * time.Millisecond, quiet: 2 * time.Second},
	}, args)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.written.WriteString(stdout.String() + stderr.String())
	got := said{args, code, stdout.String(), stderr.String()}
	d.t.Log(got)
	return got
}

// want runs the tool and checks the exit code and what is said.
func (d *desk) want(code int, typed string, says string, args ...string) said {
	d.t.Helper()
	got := d.run(typed, args...)
	if got.code != code || !strings.Contains(got.stdout+got.stderr, says) {
		d.t.Fatalf("panther-token %s ended with %d, want %d and %q:\n%s%s", strings.Join(args, " "), got.code, code, says, got.stdout, got.stderr)
	}
	return got
}

// value returns that of AWSCURRENT.
func (d *desk) value() string {
	d.t.Helper()
	out, err := d.client.GetSecretValue(d.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(name)})
	if err != nil {
		d.t.Fatal(err)
	}
	return *out.SecretString
}

// token returns the one in a slot of AWSCURRENT.
func (d *desk) token(key string) string {
	d.t.Helper()
	_, after, found := strings.Cut(d.value(), `"`+key+`": "`)
	if !found {
		return ""
	}
	token, _, _ := strings.Cut(after, `"`)
	return token
}

// sweep searches all that the tool wrote for the tokens that ever existed.
func (d *desk) sweep() {
	for _, token := range d.Panther.Issued() {
		for i := 0; i+8 <= len(token); i++ {
			if strings.Contains(d.written.String(), token[i:i+8]) {
				d.t.Fatal("a part of a token was written")
			}
		}
		if strings.Contains(d.written.String(), base64.StdEncoding.EncodeToString([]byte(token))[:16]) {
			d.t.Fatal("a token was written in base64")
		}
	}
}
