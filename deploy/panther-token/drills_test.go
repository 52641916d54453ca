package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	pantherapi "panther-token-rotation/internal/test/sandbox/panther"
)

// solve runs what status gives as the next command until the secret is healthy,
// as an operator does who knows nothing else. It returns the commands.
func (d *desk) solve() (commands []string) {
	d.t.Helper()
	const enough = 6
	for range enough {
		status := d.run("", "status", name, "--json")
		var r report
		if err := json.Unmarshal([]byte(status.stdout), &r); err != nil {
			d.t.Fatalf("status printed no report: %v", err)
		}
		if status.code == exitDone && r.Healthy {
			return commands
		}
		args, ours := strings.CutPrefix(r.NextCommand, "panther-token ")
		if !ours || status.code != exitProblem {
			d.t.Fatalf("status ended with %d, and the next command is %q", status.code, r.NextCommand)
		}
		commands = append(commands, strings.Replace(args, " "+name, "", 1))
		typed := ""
		switch {
		case strings.HasPrefix(args, "put"):
			typed = d.Panther.NewToken("replacement") + "\n"
		case strings.HasPrefix(args, "restore"):
			args = strings.Replace(args, "key.txt", d.identity, 1) + " --yes"
		case strings.HasPrefix(args, "rotate"):
			args += " --yes --timeout 6s"
		}
		d.run(typed, strings.Fields(args)...)
		time.Sleep(20 * time.Millisecond)
	}
	d.t.Fatalf("not healthy after %v", commands)
	return nil
}

func (d *desk) on(fault string) {
	d.t.Helper()
	if _, err := d.On(d.t.Context(), fault); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) off(fault string) {
	d.t.Helper()
	if _, err := d.Off(d.t.Context(), fault); err != nil {
		d.t.Fatal(err)
	}
}

// failWith rotates while a fault is on.
func failWith(fault string) func(d *desk) {
	return func(d *desk) {
		d.on(fault)
		d.want(1, "", "", "rotate", name, "--timeout", "6s")
		d.off(fault)
		d.idle()
	}
}

func (d *desk) idle() {
	d.t.Helper()
	if err := d.SecretsManager.AwaitIdle(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

func noSeal(o *sandbox.Options) { delete(o.Env, "RECOVERY_RECIPIENT") }

// TestEachDrillIsSolvedByItsNextCommands: what status advises leads to a healthy
// secret, with as few commands as these.
func TestEachDrillIsSolvedByItsNextCommands(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tokens int
		change func(*sandbox.Options)
		breaks func(d *desk)
		want   []string
	}{
		"the process died with the token, which is sealed": {1, nil, failWith("process-dies"),
			[]string{"rotate", "restore --identity key.txt"}},
		"the process died with the standby, which is sealed": {2, nil, failWith("process-dies"),
			[]string{"rotate", "restore --identity key.txt"}},
		"TokenLost":     {1, noSeal, failWith("answer-lost"), []string{"put"}},
		"StandbyLost":   {2, noSeal, failWith("answer-lost"), []string{"put --standby"}},
		"NotYetWorking": {1, nil, failWith("slow-propagation"), []string{"rotate"}},
		"the only token was deleted in the console":   {1, noSeal, func(d *desk) { d.on("token-dies") }, []string{"put"}},
		"the active token was deleted in the console": {2, nil, func(d *desk) { d.on("token-dies") }, []string{"rotate", "put --standby"}},
		"StaleSave": {1, nil, func(d *desk) {
			d.on("saved-by-hand")
			d.want(1, "", "StaleSave", "rotate", "acme/panther")
			d.idle()
		}, []string{"rotate"}},
		"a person cancelled the rotation in its middle": {1, nil, cancelled, []string{"rotate"}},
		"ReplacedByHand":            {1, nil, replacedByHand, []string{"rotate", "rotate --drop-pending"}},
		"a copy carries AWSPENDING": {2, nil, copyPending, []string{"rotate --drop-pending"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, tc.tokens, func(o *sandbox.Options) {
				if tc.change != nil {
					tc.change(o)
				}
			})
			tc.breaks(d)
			if got := d.solve(); !slices.Equal(got, tc.want) {
				t.Errorf("it took %q, want %q", got, tc.want)
			}
			d.run("", "rotate", "acme/panther", "--yes")
			if status := d.Panther.Status(d.token(active)); status != pantherapi.Living {
				t.Errorf("the active token is %s", status)
			}
		})
	}
}

// replacedByHand leaves AWSPENDING on a version whose token is dead, while that
// of AWSCURRENT works.
func replacedByHand(d *desk) {
	d.put("AWSPENDING", strings.Replace(d.value(), d.token(active), "deleted-in-the-console", 1))
}

// copyPending leaves AWSPENDING on a version with the value of AWSCURRENT.
func copyPending(d *desk) { d.put("AWSPENDING", d.value()) }

func (d *desk) put(label, value string) {
	d.must(d.client.PutSecretValue(d.t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(name), SecretString: &value, VersionStages: []string{label},
	}))
	time.Sleep(time.Second) // its token does not count as new
}

// cancelled leaves the only living token in AWSPENDING, with rotation off.
func cancelled(d *desk) {
	failWith("slow-propagation")(d)
	d.must(d.client.CancelRotateSecret(d.t.Context(), &secretsmanager.CancelRotateSecretInput{SecretId: aws.String(name)}))
}

// TestAResumedRotationShowsNoEarlierFailure: what failed before is not what
// fails now.
func TestAResumedRotationShowsNoEarlierFailure(t *testing.T) {
	d := open(t, 1, noSeal)
	failWith("answer-lost")(d)
	d.put("AWSPREVIOUS", strings.Replace(d.value(), d.token(active), d.Panther.NewToken("younger"), 1))
	if got := d.want(0, "", "Rotated.", "rotate", name); strings.Contains(got.stderr, "failed") {
		t.Error("it shows the failure of the attempt before")
	}
}

// TestTheLeakedTokenDrill: both tokens are deleted in the console, and two
// others are put.
func TestTheLeakedTokenDrill(t *testing.T) {
	d := open(t, 2)
	leaked := []string{d.token(active), d.token(standby)}
	d.want(0, "", `works ("second", id token-2)`, "status", name)
	for _, token := range leaked {
		d.Panther.Revoke(token)
	}
	d.want(1, "", "Next: panther-token put "+name+"\n", "status", name)
	d.want(0, d.Panther.NewToken("third")+"\n", "Done.", "put", name)
	d.want(1, "", "Next: panther-token put "+name+" --standby\n", "status", name)
	d.want(0, d.Panther.NewToken("fourth")+"\n", "Done.", "put", name, "--standby")
	d.want(0, "", "Healthy.", "status", name)
	for _, key := range []string{active, standby} {
		if token := d.token(key); slices.Contains(leaked, token) || d.Panther.Status(token) != pantherapi.Living {
			t.Errorf("%s is not a new token that works", key)
		}
	}
}
