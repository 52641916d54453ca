package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	pantherapi "panther-token-rotation/internal/test/sandbox/panther"
	manager "panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// TestRefusals: what would cost a token, or cannot succeed, changes nothing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tokens int
		breaks func(d *desk)
		typed  func(d *desk) string
		code   int
		says   string
		args   []string
	}{
		"put: Panther refuses it":       {1, nil, typing("never-made"), 1, "Panther refuses the token", []string{"put", name}},
		"put: no token":                 {1, nil, typing(""), 1, "no token was given", []string{"put", name}},
		"put: not a token":              {1, nil, typing("a b"), 1, "not a token", []string{"put", name}},
		"put: the other slot has it":    {2, nil, func(d *desk) string { return d.token(active) }, 1, "as the active token", []string{"put", name, "--standby"}},
		"put: during a rotation":        {2, pendingLives, typingNew, 1, "panther-token rotate", []string{"put", name}},
		"put: standby, during another":  {2, pendingEmpty, typingNew, 1, "Rotate first", []string{"put", name, "--standby"}},
		"put: the secret changed":       {1, changesMeanwhile, typingNew, 1, "changed meanwhile", []string{"put", name}},
		"put: a plain token has none":   {0, plainToken, typingNew, 1, "plain token", []string{"put", name, "--standby"}},
		"put: a token as argument":      {1, nil, typing(""), 2, "never an argument", []string{"put", name, "some-token"}},
		"restore: AWSCURRENT lives":     {1, nil, typing(""), 1, "nothing needs to be restored", []string{"restore", name, "--identity", "KEY"}},
		"restore: nothing was sealed":   {1, func(d *desk) { d.on("token-dies") }, typing(""), 1, "no sealed value", []string{"restore", name, "--identity", "KEY"}},
		"init: it exists":               {1, nil, typing(""), 1, "exists already", []string{"init", name, "--function", "panther-token-rotation"}},
		"init: a dead token":            {0, nil, typing("never-made"), 1, "Panther refuses", []string{"init", name, "--function", "panther-token-rotation"}},
		"init: one token twice":         {0, nil, twice, 1, "both tokens are the same", []string{"init", name, "--function", "panther-token-rotation"}},
		"rotate: again within the hour": {2, func(d *desk) { d.want(0, "", "Rotated.", "rotate", name) }, typing(""), 1, "--yes", []string{"rotate", name}},
		"drop-pending: it lives":        {2, pendingLives, typing(""), 1, "may protect a token", []string{"rotate", name, "--drop-pending"}},
		"status: no such secret":        {0, nil, typing(""), 2, "does not exist", []string{"status", name}},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, tc.tokens)
			if tc.breaks != nil {
				tc.breaks(d)
			}
			typed := strings.TrimSuffix(tc.typed(d), "\n") + "\n"
			before := len(d.writes())
			for i, arg := range tc.args {
				if arg == "KEY" {
					tc.args[i] = d.identity
				}
			}
			d.want(tc.code, typed, tc.says, tc.args...)
			if writes := d.writes()[before:]; len(writes) > 0 {
				t.Errorf("it wrote: %v", writes)
			}
		})
	}
}

func typing(s string) func(*desk) string { return func(*desk) string { return s } }

func typingNew(d *desk) string { return d.Panther.NewToken("new") }

func twice(d *desk) string {
	token := d.Panther.NewToken("new")
	return token + "\n" + token
}

func pendingLives(d *desk) {
	d.put("AWSPENDING", strings.Replace(d.value(), d.token(active), d.Panther.NewToken("pending"), 1))
}

// pendingEmpty leaves a rotation that ended before anything was stored.
func pendingEmpty(d *desk) {
	d.on("panther-unreachable")
	d.run("", "rotate", name, "--timeout", "100ms", "--url", "http://127.0.0.1:1/public/graphql")
	d.off("panther-unreachable")
}

func plainToken(d *desk) {
	d.must(d.client.CreateSecret(d.t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: aws.String(d.Panther.NewToken("plain"))}))
	d.must(d.client.RotateSecret(d.t.Context(), &secretsmanager.RotateSecretInput{
		SecretId: aws.String(name), RotationLambdaARN: aws.String(d.Function.ARN()), RotateImmediately: aws.Bool(false), RotationRules: rules(),
	}))
	d.idle()
}

// changesMeanwhile has another person put a value when the tool asks Panther
// about the new token.
func changesMeanwhile(d *desk) {
	asked := 0
	d.onAsk = func(pantherapi.Request) *pantherapi.Fault {
		if asked++; asked == 2 {
			d.put("AWSCURRENT", strings.Replace(d.value(), `"x"`, `"y"`, 1))
		}
		return nil
	}
}

// writes lists the writes of the tool.
func (d *desk) writes() []manager.Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]manager.Call{}, d.wrote...)
}

// TestAnInterruptedCommandChangesNothing, and says so.
func TestAnInterruptedCommandChangesNothing(t *testing.T) {
	d := open(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	in, out, err := os.Pipe() // a prompt without an answer
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	got := d.runFrom(ctx, in, nil, "put", name)
	if got.code != exitProblem || !strings.Contains(got.stderr, "Interrupted. Nothing was changed.") {
		t.Errorf("it ended with %d: %s", got.code, got.stderr)
	}
}

// TestAnInterruptedRotateGoesOnInAWS, and says so.
func TestAnInterruptedRotateGoesOnInAWS(t *testing.T) {
	d := open(t, 1)
	ctx, interrupt := context.WithCancel(t.Context())
	d.onAsk = func(pantherapi.Request) *pantherapi.Fault {
		interrupt()
		return nil
	}
	got := d.runWith(ctx, "", nil, "rotate", name)
	// If the answer to RotateSecret is still on its way, the rotation may have begun.
	goesOn := strings.Contains(got.stderr, "goes on in AWS") || strings.Contains(got.stderr, "may have begun")
	if got.code != exitProblem || !goesOn || !strings.Contains(got.stderr, "panther-token status "+name) {
		t.Errorf("it ended with %d: %s", got.code, got.stderr)
	}
	d.idle()
	d.want(0, "", "Healthy.", "status", name)
}

// TestOddSecrets: each is explained, and none is written.
func TestOddSecrets(t *testing.T) {
	t.Parallel()
	binary := &secretsmanager.CreateSecretInput{Name: aws.String(name), SecretBinary: []byte{0, 1, 2}}
	for title, tc := range map[string]struct {
		made       *secretsmanager.CreateSecretInput
		says, puts string
	}{
		"binary":          {binary, "SecretBinary", "holds no token"},
		"no version":      {&secretsmanager.CreateSecretInput{Name: aws.String(name)}, "OtherFunction", "no version of the secret is AWSCURRENT"},
		"an empty object": {&secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: aws.String("{}")}, "SECRET_TOKEN_KEY", "holds no token"},
		"no function":     {&secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: aws.String("not-a-token")}, "rotation was never set up", "no token was given"},
	} {
		t.Run(title, func(t *testing.T) {
			d := open(t, 0)
			d.must(d.client.CreateSecret(t.Context(), tc.made))
			d.want(1, "", tc.says, "status", name, "--url", d.PantherURL)
			d.want(1, "", "--rotation-lambda-arn FUNCTION ", "status", name, "--url", d.PantherURL)
			d.want(1, "", tc.puts, "put", name, "--url", d.PantherURL)
			d.want(2, "", "Give it with --url", "status", name)
			d.want(1, "", "rotation was never set up", "rotate", name, "--url", d.PantherURL)
			if writes := d.writes(); len(writes) > 0 {
				t.Errorf("it wrote: %v", writes)
			}
		})
	}
}

// TestAForeignHostIsConfirmed: who may edit the function must not harvest
// tokens.
func TestAForeignHostIsConfirmed(t *testing.T) {
	d := open(t, 1, func(o *sandbox.Options) { o.Env["PANTHER_API_URL"] = "https://panther.example.com/public/graphql" })
	d.want(1, "", "not below runpanther.net", "status", name)
	d.want(1, "n\n", "Not confirmed", "status", name)
	d.want(0, "", "Healthy", "status", name, "--url", d.PantherURL)
	if calls := d.Panther.Calls(); len(calls) == 0 {
		t.Error("--url was not used")
	}
}

// TestInitMakesASecretThatRotates.
func TestInitMakesASecretThatRotates(t *testing.T) {
	d := open(t, 0)
	first, second := d.Panther.NewToken("first"), d.Panther.NewToken("second")
	d.want(0, first+"\n"+second+"\n", "Done.", "init", name, "--function", "panther-token-rotation")
	if want := `{"PANTHER_API_TOKEN": "` + first + `", "PANTHER_API_TOKEN_STANDBY": "` + second + `"}`; d.value() != want {
		t.Error("the value is another")
	}
}

// TestReadersComeBeforeTheSchedule: a dead token is replaced before rotation is
// switched on.
func TestReadersComeBeforeTheSchedule(t *testing.T) {
	d := open(t, 1, noSeal)
	d.must(d.client.CancelRotateSecret(t.Context(), &secretsmanager.CancelRotateSecretInput{SecretId: aws.String(name)}))
	d.on("token-dies")
	got := d.want(1, "", "Next: panther-token put "+name+"\n", "status", name)
	if !strings.Contains(got.stdout, "CIDR blocks exclude") {
		t.Error("it does not say that the token may live")
	}
	d.want(0, d.Panther.NewToken("new")+"\n", "Done.", "put", name)
	d.want(1, "", "Next: aws secretsmanager rotate-secret", "status", name)
}

// TestALostAnswerIsNotAFailure: what was begun is followed, and what was written
// is not written twice.
func TestALostAnswerIsNotAFailure(t *testing.T) {
	var losing atomic.Pointer[string] // the operation whose next answer is lost
	d := open(t, 1, func(o *sandbox.Options) {
		o.SecretsManager.Fault = func(operation, _ string) *manager.Fault {
			if lost := losing.Load(); lost == nil || *lost != operation || !losing.CompareAndSwap(lost, nil) {
				return nil
			}
			return &manager.Fault{DropConnection: true, AfterEffect: true}
		}
	})
	losing.Store(aws.String("RotateSecret"))
	d.want(0, "", "Rotated.", "rotate", name)
	losing.Store(aws.String("PutSecretValue"))
	d.want(0, d.Panther.NewToken("new")+"\n", "Done.", "put", name)
	if losing.Load() != nil {
		t.Error("no answer was lost")
	}
}

// withoutLogs is a client that may not read the log.
type withoutLogs struct{}

func (withoutLogs) Do(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Target"), "Logs_") {
		return http.DefaultClient.Do(r)
	}
	const denied = `{"__type": "AccessDeniedException", "message": "not authorized"}`
	return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(denied)), Request: r}, nil
}

// TestADeniedLogIsNamed, and nothing is concluded from it.
func TestADeniedLogIsNamed(t *testing.T) {
	d := open(t, 2, noSeal)
	failWith("answer-lost")(d)
	d.http = withoutLogs{}
	d.want(1, "", "log could not be read: FilterLogEvents failed: AccessDeniedException", "status", name)
	d.want(2, d.Panther.NewToken("new")+"\n", "only the function's log says", "put", name, "--standby")
	d.want(1, "", "log cannot be read, so its errors are not shown", "rotate", name, "--timeout", "100ms")
	d.idle()
}

// TestLooseTokensAreListed so that they can be deleted in the console.
func TestLooseTokensAreListed(t *testing.T) {
	d := open(t, 1)
	d.want(0, d.Panther.NewToken("new")+"\n", "Done.", "put", name)
	d.want(0, "", `A living token is in no slot ("first", id token-1)`, "status", name)
}

// TestATokenThatARotationAdoptsIsNotToBeDeleted: it may be the only living one.
func TestATokenThatARotationAdoptsIsNotToBeDeleted(t *testing.T) {
	d := open(t, 1)
	d.put("PANTHER_SUCCESSOR", strings.Replace(d.value(), d.token(active), d.Panther.NewToken("successor"), 1))
	d.on("token-dies")
	got := d.want(1, "", "Next: panther-token rotate "+name, "status", name)
	if strings.Contains(got.stdout, "delete") {
		t.Error("it advises to delete the only living token")
	}
	d.want(0, "", "Rotated.", "rotate", name)
	d.want(0, "", "Healthy.", "status", name)
}

// TestATestRotatesNothing.
func TestATestRotatesNothing(t *testing.T) {
	d := open(t, 2)
	before := d.value()
	d.want(0, "", "The test passed. Nothing was rotated.", "rotate", name, "--test")
	if d.value() != before {
		t.Error("the test changed the value")
	}
	d.on("token-dies")
	d.want(1, "", "the test failed with", "rotate", name, "--test")
}

// TestHelpAndCompletion need no AWS.
func TestHelpAndCompletion(t *testing.T) {
	d := open(t, 1)
	for _, command := range []string{"status", "rotate", "put", "restore", "init"} {
		d.want(0, "", "Examples:\n  panther-token "+command+" acme/panther", command, "--help")
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		d.want(0, "", "panther-token", "completion", shell)
	}
	d.want(0, "", name, "__complete", "status", "")
}
