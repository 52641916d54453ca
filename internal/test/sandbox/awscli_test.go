//go:build verify

package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"panther-token-rotation/internal/test/sandbox"
	pantherapi "panther-token-rotation/internal/test/sandbox/panther"
	manager "panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// pairAccount is an account with a secret of two tokens, which an operator
// handles with the aws CLI.
type pairAccount struct {
	*account
	name string
}

func openPair(t *testing.T, o sandbox.Options) pairAccount {
	t.Helper()
	a := pairAccount{openAccount(t, o), "acme/pair"}
	value, err := json.Marshal(map[string]string{
		"note": "x", "PANTHER_API_TOKEN": a.Panther.NewToken("active"), "PANTHER_API_TOKEN_STANDBY": a.Panther.NewToken("standby"),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.aws("create-secret", "--name", a.name, "--secret-string", string(value))
	a.aws("rotate-secret", "--secret-id", a.name, "--rotation-lambda-arn", a.Function.ARN(), "--rotation-rules", `{"AutomaticallyAfterDays":30}`, "--no-rotate-immediately")
	a.idle()
	return a
}

// aws runs the aws CLI on PATH, which has to succeed.
func (a pairAccount) aws(args ...string) string {
	a.t.Helper()
	stdout, stderr, err := a.run(args...)
	if err != nil {
		a.t.Fatalf("aws %q: %v\n%s", args, err, stderr)
	}
	return stdout
}

func (a pairAccount) run(args ...string) (stdout, stderr string, err error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(a.t.Context(), "aws", append([]string{"secretsmanager"}, args...)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + a.t.TempDir(), "AWS_ENDPOINT_URL=" + a.SecretsManagerURL, "AWS_PAGER=",
		"AWS_DEFAULT_REGION=" + a.Region, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=example",
	}
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

// rotateNow is rotate-secret, which may take up a rotation that is stuck.
func (a pairAccount) rotateNow() {
	a.t.Helper()
	if _, stderr, err := a.run("rotate-secret", "--secret-id", a.name); err != nil && !strings.Contains(stderr, "That rotation will be reattempted") {
		a.t.Fatal(stderr)
	}
	a.idle()
}

func (a pairAccount) idle() {
	a.t.Helper()
	if err := a.SecretsManager.AwaitIdle(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

type pairValue struct {
	Active  string `json:"PANTHER_API_TOKEN"`
	Standby string `json:"PANTHER_API_TOKEN_STANDBY"`
	Note    string `json:"note"`
}

// read returns the tokens of AWSCURRENT and its version.
func (a pairAccount) read() (value pairValue, version string) {
	a.t.Helper()
	var answer struct{ SecretString, VersionId string }
	if err := json.Unmarshal([]byte(a.aws("get-secret-value", "--secret-id", a.name)), &answer); err != nil {
		a.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(answer.SecretString), &value); err != nil {
		a.t.Fatal(err)
	}
	return value, answer.VersionId
}

// neverRefused runs a reader next to everything that the test does.
func (a pairAccount) neverRefused() {
	reader := a.StartReader(a.name, "PANTHER_API_TOKEN")
	a.t.Cleanup(func() {
		reader.Stop()
		if accepted, asked := reader.Count(); asked == 0 || accepted < asked {
			a.t.Errorf("%d of %d requests of a reader were accepted", accepted, asked)
		}
	})
}

// TestAWSCLITwoTokensALostAnswer loses the answer of the first rotation. Readers
// are not affected; the operator puts a new standby, and rotations go on.
func TestAWSCLITwoTokensALostAnswer(t *testing.T) {
	var lost atomic.Bool
	a := openPair(t, sandbox.Options{Env: short(), SecretsManager: manager.Options{RotationAttempts: 1}, Panther: pantherapi.Options{Fault: func(r pantherapi.Request) *pantherapi.Fault {
		if r.Operation == pantherapi.RotateAPIToken && lost.CompareAndSwap(false, true) {
			return &pantherapi.Fault{Kind: pantherapi.CutInToken}
		}
		return nil
	}}})
	a.neverRefused()
	time.Sleep(time.Second) // the tokens must not count as young
	a.rotateNow()
	if !strings.Contains(a.failures(), "StandbyLost") {
		t.Fatalf("the operator was not told: %s", a.failures())
	}
	value, _ := a.read()
	value.Standby = a.Panther.NewToken("new standby")
	text, _ := json.Marshal(value)
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	a.aws("put-secret-value", "--secret-id", a.name, "--secret-string", "file://"+file)
	a.rotateNow()
	after, _ := a.read()
	if after.Active == value.Active || after.Standby != value.Active || after.Note != "x" {
		t.Error("the rotation after it did not exchange the tokens")
	}
	a.mustLive(after.Active)
	a.mustLive(after.Standby)
}

// TestAWSCLITwoTokensACrashBeforeStoring ends the process that holds the new
// token. The operator restores the sealed value.
func TestAWSCLITwoTokensACrashBeforeStoring(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	env := short()
	env["RECOVERY_RECIPIENT"] = identity.Recipient().String()
	var a pairAccount
	var rotated, killed atomic.Bool
	a = openPair(t, sandbox.Options{
		Env: env,
		Panther: pantherapi.Options{OnCall: func(c pantherapi.Call) {
			if c.Rotated {
				rotated.Store(true)
			}
		}},
		SecretsManager: manager.Options{RotationAttempts: 1, Fault: func(operation, _ string) *manager.Fault {
			if operation == "PutSecretValue" && rotated.Load() && killed.CompareAndSwap(false, true) {
				go a.Function.Kill()
				return &manager.Fault{Hang: true}
			}
			return nil
		}},
	})
	a.neverRefused()
	a.rotateNow()
	if !killed.Load() {
		t.Fatal("the process was not killed")
	}
	opened, err := age.Decrypt(armor.NewReader(strings.NewReader(a.logged("sealed"))), identity)
	if err != nil {
		t.Fatal(err)
	}
	value, err := io.ReadAll(opened)
	if err != nil {
		t.Fatal(err)
	}
	a.aws("put-secret-value", "--secret-id", a.name, "--secret-string", string(value))
	restored, _ := a.read()
	a.mustLive(restored.Active)
	a.mustLive(restored.Standby)
	a.rotateNow()
	after, _ := a.read()
	a.mustLive(after.Active)
	a.mustLive(after.Standby)
}

// TestAWSCLITwoTokensARollbackByLabel moves AWSCURRENT back to the version
// before, whose standby is dead. The next rotation heals it.
func TestAWSCLITwoTokensARollbackByLabel(t *testing.T) {
	a := openPair(t, sandbox.Options{Env: short(), SecretsManager: manager.Options{RotationAttempts: 1}})
	a.neverRefused()
	before, first := a.read()
	time.Sleep(time.Second)
	a.rotateNow()
	rotated, second := a.read()
	a.aws("update-secret-version-stage", "--secret-id", a.name, "--version-stage", "AWSCURRENT",
		"--move-to-version-id", first, "--remove-from-version-id", second)
	if back, _ := a.read(); back.Active != before.Active {
		t.Fatal("the label did not move back")
	}
	time.Sleep(time.Second)
	a.rotateNow()
	after, _ := a.read()
	if after.Active != rotated.Active || after.Standby != before.Active {
		t.Errorf("the living token was not found: %s", a.story())
	}
}

// TestAWSCLITwoTokensAReaderThatCaches reads once and goes on with that token
// until the next rotation is over.
func TestAWSCLITwoTokensAReaderThatCaches(t *testing.T) {
	a := openPair(t, sandbox.Options{Env: short()})
	for range 2 {
		cached, _ := a.read()
		a.rotateNow()
		a.mustLive(cached.Active)
		if now, _ := a.read(); now.Active == cached.Active {
			t.Error("the token was not rotated")
		}
	}
}
