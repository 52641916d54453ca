package rotation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// logged counts the log lines of an event that have all of these texts.
func (a *account) logged(event rotation.Event, texts ...string) (n int) {
	for line := range strings.Lines(a.log.String()) {
		if strings.Contains(line, `"event":"`+string(event)+`"`) && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}

func (a *account) mustLog(event rotation.Event, texts ...string) {
	a.t.Helper()
	if a.logged(event, texts...) == 0 {
		a.t.Errorf("the log has no %s with %q", event, texts)
	}
}

func (a *account) mustMeasure(event rotation.MeasuredEvent) {
	a.t.Helper()
	if !a.wasMeasured(event) {
		a.t.Errorf("event %d was not measured", event)
	}
}

func TestFinishSecretNeedsToReadTheVersion(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		kind rotation.Kind
	}{
		"it cannot": {errDown, rotation.StoreUnavailable},
		"binary":    {secret.ErrBinary, rotation.SecretUnusable},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.versions["new"].value = token(2)
				a.failing("Read new", tc.err)
				a.mustFail(rotation.FinishSecret, tc.kind)
				if a.labelled(rotation.LabelCurrent) != "old" {
					t.Error("AWSCURRENT moved")
				}
			})
		})
	}
}

func TestFinishSecretLogsWhatItDoes(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["new"].value = token(2)
		a.replicas = []rotation.Replica{{Region: "us-east-1", Status: "Failed"}, {Region: "us-east-2", Status: "InSync"}}
		a.fail = func(call string) error {
			if call == "MoveCurrent" && a.count(call) < 3 {
				return errDown
			}
			return nil
		}
		a.mustRun(rotation.FinishSecret)
		a.mustLog(rotation.EventMoveFailed, `"attempt":2`)
		a.mustLog(rotation.EventCurrentMoved, `"previous":"old"`)
		a.mustLog(rotation.EventReplicaNotInSync, "us-east-1", "Failed")
		if a.logged(rotation.EventReplicaNotInSync) != 1 {
			t.Error("a replica in sync was reported")
		}
	})
}

func TestFinishSecretFailsWhereAWSCURRENTCannotMove(t *testing.T) {
	inAccount(t, func(t *testing.T, a *account) {
		a.versions["new"].value = token(2)
		a.failing("MoveCurrent", errDown)
		a.mustFail(rotation.FinishSecret, rotation.StoreUnavailable, "cannot move AWSCURRENT")
	})
}

// TestFinishSecretLooksAgainWhileItWaitsForReplicas is a rotation that is
// cancelled, or finished by another invocation, meanwhile.
func TestFinishSecretLooksAgainWhileItWaitsForReplicas(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(a *account)
		kind   rotation.Kind
	}{
		"cancelled": {func(a *account) { a.unlabel("new", rotation.LabelPending) }, rotation.NotRotating},
		"finished":  {func(a *account) { a.moveCurrent("new") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inAccount(t, func(t *testing.T, a *account) {
				a.versions["new"].value = token(2)
				a.replicas = []rotation.Replica{{Region: "us-east-1", Status: "InProgress"}}
				a.after(5*time.Second, func() { tc.change(a) })
				started := time.Now()
				if tc.kind == "" {
					a.mustRun(rotation.FinishSecret)
				} else {
					a.mustFail(rotation.FinishSecret, tc.kind)
				}
				if a.count("MoveCurrent") > 0 {
					t.Error("AWSCURRENT was moved")
				}
				if took := time.Since(started); took > 20*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
