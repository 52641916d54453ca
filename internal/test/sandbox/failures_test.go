package sandbox_test

import (
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	pantherapi "panther-token-rotation/internal/test/sandbox/panther"
	manager "panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// faultAtStoring makes a fault of the first n writes that store a new token. The
// writes come in pairs: the proof that changes nothing, then the token.
func faultAtStoring(n int64, fault func() *manager.Fault) func(string, string) *manager.Fault {
	var puts atomic.Int64
	return func(operation, _ string) *manager.Fault {
		if operation != "PutSecretValue" {
			return nil
		}
		if i := puts.Add(1); i < 2 || i > n+1 {
			return nil
		}
		return fault()
	}
}

// short has the function not wait for a token that will never work.
func short() map[string]string { return map[string]string{"PROPAGATION_TIMEOUT": "1s"} }

func TestSecretsManagerFailsForAWhile(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]*manager.Fault{
		"errors":                 {Code: "InternalServiceError", Message: "try again"},
		"errors after the write": {Code: "InternalServiceError", AfterEffect: true},
		"broken connections":     {DropConnection: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openAccount(t, sandbox.Options{SecretsManager: manager.Options{
				Fault: faultAtStoring(5, func() *manager.Fault { return fault }),
			}})
			a.rotate()
			fresh := a.current()
			if fresh == a.token || a.rotations() != 1 || a.failures() != "" {
				t.Errorf("rotated %d times; %s", a.rotations(), a.story())
			}
			a.mustLive(fresh)
		})
	}
}

func TestTimeoutTooShortIsRefusedBeforeRotating(t *testing.T) {
	t.Parallel()
	a := openAccount(t, sandbox.Options{Timeout: 3 * time.Second})
	a.rotate()
	if !strings.Contains(a.failures(), "NoTime") || !strings.Contains(a.failures(), "Timeout") {
		t.Errorf("no word of the timeout: %s", a.failures())
	}
	if a.rotations() != 0 {
		t.Error("the token was rotated with 3 s left")
	}
	a.mustLive(a.current())
}

// TestProcessDiesWithTheToken kills the function after Panther gave the token,
// before it is stored, which is the worst that can happen; and then runs the very
// steps of the command that the sealed log gives for it.
func TestProcessDiesWithTheToken(t *testing.T) {
	t.Parallel()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	env := short()
	env["RECOVERY_RECIPIENT"] = identity.Recipient().String()
	var a *account
	a = openAccount(t, sandbox.Options{Env: env, SecretsManager: manager.Options{
		Fault: faultAtStoring(1, func() *manager.Fault {
			a.Function.Kill()
			return &manager.Fault{DropConnection: true}
		}),
	}})
	time.Sleep(time.Second) // the first token must not count as young
	a.rotate()

	if a.rotations() != 1+2 {
		t.Errorf("rotateAPIToken was called %d times, want once and refused twice", a.rotations())
	}
	if !strings.Contains(a.failures(), "signal: killed") || !strings.Contains(a.failures(), "TokenRefused") {
		t.Fatalf("no failure was reported: %s", a.failures())
	}
	if status := a.Panther.Status(a.current()); status == pantherapi.Living {
		t.Fatal("the process was not killed at the moment that matters")
	}

	// The restore command is a pipe of three: jq, age, aws.
	command := a.logged("restore")
	form := regexp.MustCompile(`^jq -r \.sealed sealed\.json \| age -d -i key\.txt \| aws secretsmanager put-secret-value --secret-id '([^']+)' --secret-string file:///dev/stdin$`)
	parts := form.FindStringSubmatch(command)
	if parts == nil {
		t.Fatalf("this test no longer does what the command says: %s", command)
	}
	opened, err := age.Decrypt(armor.NewReader(strings.NewReader(a.logged("sealed"))), identity)
	if err != nil {
		t.Fatal(err)
	}
	value, err := io.ReadAll(opened)
	if err != nil {
		t.Fatal(err)
	}
	text := string(value)
	if _, err := a.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &parts[1], SecretString: &text}); err != nil {
		t.Fatal(err)
	}
	a.mustLive(a.current())

	a.rotate()
	a.mustLive(a.current())
	if a.current() == a.token || a.rotations() != 4 {
		t.Errorf("after the restoring, it does not rotate: %s", a.story())
	}
}

// TestTheTokenOfACancelledRotationIsFoundAgain takes AWSPENDING off the version
// with the living token, so that no label leads to it any more.
func TestTheTokenOfACancelledRotationIsFoundAgain(t *testing.T) {
	t.Parallel()
	var works atomic.Bool
	a := openAccount(t, sandbox.Options{Env: short(), Panther: pantherapi.Options{Fault: func(r pantherapi.Request) *pantherapi.Fault {
		if works.Load() || r.Operation == pantherapi.RotateAPIToken {
			return nil
		}
		return &pantherapi.Fault{Kind: pantherapi.NotGraphQL, Status: 401}
	}}})
	id := a.rotate()
	if !strings.Contains(a.failures(), "NotYetWorking") {
		t.Fatalf("the rotation did not fail in its middle: %s", a.story())
	}
	_, err := a.client.UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: &a.secret, VersionStage: aws.String("AWSPENDING"), RemoveFromVersionId: &id,
	})
	if err != nil {
		t.Fatal(err)
	}
	if labels := a.labels(); len(labels) != 1 {
		t.Fatalf("labels are %v", labels)
	}
	works.Store(true)

	a.rotate()

	a.mustLive(a.current())
	if made := len(a.Panther.Issued()); made != 2 {
		t.Errorf("there were %d tokens, want the first and its successor alone", made)
	}
}

func TestLostAnswerIsReportedAndNotRepeated(t *testing.T) {
	t.Parallel()
	var struck atomic.Bool
	a := openAccount(t, sandbox.Options{
		Env: short(),
		Panther: pantherapi.Options{Fault: func(r pantherapi.Request) *pantherapi.Fault {
			if r.Operation == pantherapi.RotateAPIToken && struck.CompareAndSwap(false, true) {
				return &pantherapi.Fault{Kind: pantherapi.CutInToken}
			}
			return nil
		}},
		SecretsManager: manager.Options{RotationAttempts: 1},
	})
	time.Sleep(time.Second)
	a.rotate()
	if a.rotations() != 1 {
		t.Errorf("rotateAPIToken was called %d times", a.rotations())
	}
	failure := a.failures()
	if !strings.Contains(failure, "TokenLost") || !strings.Contains(failure, "put a new API token") {
		t.Errorf("the operator was not told what to do: %s", failure)
	}
}

// TestAnswersThatHoldATokenAreTaken also has the API echo the token that calls,
// wherever it can.
func TestAnswersThatHoldATokenAreTaken(t *testing.T) {
	t.Parallel()
	for _, kind := range []pantherapi.FaultKind{pantherapi.ErrorsBesideData, pantherapi.OtherStatus, pantherapi.CutBehindToken} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			a := openAccount(t, sandbox.Options{Panther: pantherapi.Options{EchoToken: true, Fault: func(r pantherapi.Request) *pantherapi.Fault {
				if r.Operation == pantherapi.RotateAPIToken {
					return &pantherapi.Fault{Kind: kind}
				}
				return nil
			}}})
			a.rotate()
			if a.rotations() != 1 || a.current() == a.token {
				t.Errorf("the token was not taken: %s", a.story())
			}
			a.mustLive(a.current())
		})
	}
}

// TestAnAPIThatEchoesTheTokenLeaksNothing meets errors that quote the token, for
// a while; the sweep at the end of each test looks for it.
func TestAnAPIThatEchoesTheTokenLeaksNothing(t *testing.T) {
	t.Parallel()
	for _, fault := range []pantherapi.Fault{
		{Kind: pantherapi.ErrorsOnly}, {Kind: pantherapi.WebPage}, {Kind: pantherapi.NotGraphQL, Status: 500},
		{Kind: pantherapi.NotGraphQL, Status: 400}, {Kind: pantherapi.NotGraphQL, Status: 403}, {Kind: pantherapi.Reset},
	} {
		t.Run(string(fault.Kind), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			a := openAccount(t, sandbox.Options{
				Env: short(),
				Panther: pantherapi.Options{EchoToken: true, Fault: func(pantherapi.Request) *pantherapi.Fault {
					if calls.Add(1) > 2 {
						return nil
					}
					return &fault
				}},
			})
			a.rotate()
			if a.current() == a.token {
				t.Errorf("the token was not rotated in the end: %s", a.story())
			}
			a.mustLive(a.current())
		})
	}
}

func TestWrongSettingsAreAllNamedAndNotEchoed(t *testing.T) {
	t.Parallel()
	const pasted = "hunter2-pasted-into-the-wrong-field"
	a := openAccount(t, sandbox.Options{
		Env: map[string]string{
			"PANTHER_API_URL": "ftp://" + pasted + ".example", "PROPAGATION_TIMEOUT": pasted, "RECOVERY_RECIPIENT": pasted,
		},
		SecretsManager: manager.Options{RotationAttempts: 1},
	})
	a.secrets = []string{pasted}
	a.rotate()
	told := a.logged("error")
	for _, setting := range []string{"PANTHER_API_URL", "PROPAGATION_TIMEOUT", "RECOVERY_RECIPIENT"} {
		if !strings.Contains(told, setting) {
			t.Errorf("%s is not named in %q", setting, told)
		}
	}
	a.mustLive(a.current())
}

func TestSecondRotateSecretGoesOnWithTheFirst(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	a := openAccount(t, sandbox.Options{
		Env: short(),
		Panther: pantherapi.Options{Fault: func(r pantherapi.Request) *pantherapi.Fault {
			if r.Operation == pantherapi.Introspection && down.Load() {
				return &pantherapi.Fault{Kind: pantherapi.NotGraphQL, Status: 403}
			}
			return nil
		}},
		SecretsManager: manager.Options{RotationAttempts: 1},
	})
	stuck := a.rotate()
	if !strings.Contains(a.failures(), "NotYetWorking") {
		t.Fatalf("testSecret passed: %s", a.story())
	}
	down.Store(false)
	a.rotate()
	if labels := a.labels()[stuck]; len(labels) != 1 || labels[0] != "AWSCURRENT" {
		t.Errorf("the first rotation was not taken up: %v", a.labels())
	}
	if a.rotations() != 1 {
		t.Errorf("rotateAPIToken was called %d times", a.rotations())
	}
	a.mustLive(a.current())
}

// TestFailureIsMeasured reads the embedded metric lines as CloudWatch would.
func TestFailureIsMeasured(t *testing.T) {
	t.Parallel()
	a := openAccount(t, sandbox.Options{Timeout: 3 * time.Second, SecretsManager: manager.Options{RotationAttempts: 1}})
	a.rotate()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, line := range a.log {
		var metric struct {
			RotationsFailed int
			Step, Kind      string
			FunctionName    string
			SecretArn       string
			AWS             json.RawMessage `json:"_aws"`
		}
		if json.Unmarshal([]byte(line), &metric) == nil && metric.AWS != nil {
			if metric.RotationsFailed != 1 || metric.Step != "createSecret" || metric.Kind != "NoTime" || metric.FunctionName == "" || metric.SecretArn != a.secret {
				t.Errorf("the metric is %+v", metric)
			}
			return
		}
	}
	t.Error("no metric was logged")
}

// TestARetiredProcessStoresWhatItHolds is Lambda ending the process that holds
// the only copy of the token, with notice.
func TestARetiredProcessStoresWhatItHolds(t *testing.T) {
	t.Parallel()
	var denied atomic.Bool
	denied.Store(true)
	var a *account
	var puts atomic.Int64
	a = openAccount(t, sandbox.Options{Env: short(), SecretsManager: manager.Options{
		RotationAttempts: 1,
		Fault: func(operation, version string) *manager.Fault {
			if operation != "PutSecretValue" || !denied.Load() || puts.Add(1) == 1 { // the first is the proof
				return nil
			}
			if puts.Load() == 4 { // the process tries to store the token
				denied.Store(false)
				go a.Function.Retire()
				return &manager.Fault{DropConnection: true}
			}
			return &manager.Fault{Code: "InternalServiceError"}
		},
	}})
	a.rotate()
	if successor := a.logged("successor"); !strings.HasPrefix(successor, "panther-successor-") {
		t.Errorf("the token was not stored when the process was retired: %s", a.story())
	}
	a.rotate()
	a.mustLive(a.current())
}
