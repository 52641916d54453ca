package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"panther-token-rotation/internal/test/cmd/terminal"
	"panther-token-rotation/internal/test/sandbox"
	"panther-token-rotation/internal/test/sandbox/lambdaruntime"
	"panther-token-rotation/internal/test/sandbox/panther"
	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// story says what happens in a rotation while it happens, and remembers what is
// needed afterwards. The stand-ins tell it, each from goroutines of its own, and
// wait until it has printed: so the lines are in the order of the calls.
type story struct {
	grace  time.Duration
	form   form
	reader *sandbox.Reader
	ended  chan error // filled at the end of the rotation, with why it failed

	mu     sync.Mutex
	term   *terminal.Terminal
	silent bool

	old, new string // version ids
	step     string // the one that runs; empty outside of a rotation
	failed   bool   // a step failed, and the rotation is run again
	refused  []panther.Call
	works    bool // the new token was seen to

	logs                []string
	coldStart           string
	calls, pantherCalls int
	switched, moved     time.Time // when token 1 was replaced, when AWSCURRENT moved
}

func newStory(term *terminal.Terminal, options sandbox.Options, f form) *story {
	return &story{form: f, term: term, grace: options.Panther.OldTokenGrace, ended: make(chan error, 1)}
}

// begin is told the version that the secret has before the rotation.
func (s *story) begin(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.old = version
}

var stepPurpose = map[string]string{
	"createSecret": "rotates the token and stores the new one",
	"setSecret":    "has nothing to do, since Panther switched in createSecret",
	"testSecret":   "waits until the new token works",
	"finishSecret": "makes the new version the current one",
}

// happened reports an event of the rotation.
func (s *story) happened(e secretsmanager.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Name {
	case "RotationStarted":
		s.new = e.VersionID
		s.printf("\n%s\n  RotateSecret makes version 2, which carries AWSPENDING and has no value yet. Then Secrets\n"+
			"  Manager invokes the function four times, once for each step.\n", s.term.Bold("The rotation"))
	case "StepStarted":
		if s.failed {
			s.printf("\nSecrets Manager runs the rotation again.\n")
			s.failed = false
		}
		s.step, s.coldStart = e.Step, ""
		purpose := stepPurpose[e.Step]
		if e.Step == "createSecret" && s.form.tokens == 2 {
			purpose = "rotates the standby and stores the new token"
		}
		s.printf("\n  %s  %s\n", s.term.Bold(e.Step), purpose)
	case "StepSucceeded":
		s.tellRefusals()
		took := inShort(e.Duration)
		if s.coldStart != "" {
			took += ", " + s.coldStart + " of it the cold start"
		}
		s.printf("  %s\n", s.term.Dim("└ "+took))
		s.step = ""
	case "StepFailed":
		s.tellRefusals()
		s.printf("  %s %s\n", s.term.Dim("└ "+inShort(e.Duration)+","), s.term.Bad("failed:"))
		s.printf("    %s\n", reason(e.Err))
		s.step, s.failed = "", true
	case "RotationSucceeded":
		s.printf("\n  At the end Secrets Manager takes AWSPENDING off version 2. It all took %s.\n", inShort(e.Duration))
		s.ended <- nil
	case "RotationFailed":
		s.ended <- errors.New("the rotation failed, and Secrets Manager has given up for now")
	}
}

// reason is what the function says of its failure.
func reason(err error) string {
	if failure, ok := errors.AsType[*lambdaruntime.FunctionError](err); ok {
		return failure.ErrorType + ": " + failure.Message
	}
	return err.Error()
}

// secretsManagerCalled reports a call that the function made.
func (s *story) secretsManagerCalled(c secretsmanager.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.step == "" || !strings.Contains(c.UserAgent, "panther-token-rotation/") {
		return // it was the demo itself, or its reader
	}
	s.calls++
	if c.Operation == "UpdateSecretVersionStage" && c.ErrorCode == "" {
		s.moved = c.Time.Add(c.Duration)
	}
	s.tellRefusals()
	s.tellCall("Secrets Manager", c.Operation, s.meaning(c))
}

// meaning says what a call to Secrets Manager is for, or brought.
func (s *story) meaning(c secretsmanager.Call) string {
	missing := c.ErrorCode == "ResourceNotFoundException"
	switch {
	case missing && s.step == "createSecret" && c.VersionID == s.new:
		return "version 2 is empty, so nothing was rotated for it"
	case missing:
		return "not there yet, since reads lag behind writes"
	case c.ErrorCode != "":
		return s.term.Waiting("turned away: " + c.ErrorCode)
	case c.Operation == "DescribeSecret" && s.step == "createSecret" && !s.switched.IsZero():
		return "nobody put another value meanwhile"
	case c.Operation == "ListSecretVersionIds":
		return "there is room for a new version"
	case c.Operation == "DescribeSecret" && s.step == "createSecret":
		return "rotation is on, AWSPENDING is on version 2"
	case c.Operation == "DescribeSecret":
		return "the same checks"
	case c.Operation == "GetSecretValue" && c.VersionID == s.old:
		return "version 1: " + s.term.Marked(s.form.held)
	case c.Operation == "GetSecretValue" && s.step == "createSecret":
		return "version 2 has its token, so it is not rotated again"
	case c.Operation == "GetSecretValue":
		return "version 2: " + s.term.Marked(s.form.then)
	case c.Operation == "PutSecretValue" && c.Ignored:
		return "changes nothing: proves that writing is allowed"
	case c.Operation == "PutSecretValue" && c.VersionID == s.new:
		return s.term.Marked(s.form.fresh) + " is stored: version 2, " + strings.Join(c.Stages, ", ")
	case c.Operation == "UpdateSecretVersionStage":
		return "AWSCURRENT moves to version 2, AWSPREVIOUS follows"
	}
	return ""
}

// pantherCalled reports a call to Panther that the function made. Refusals of a
// token that is still too young are told together, once they end.
func (s *story) pantherCalled(c panther.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.step == "" || !strings.Contains(c.UserAgent, "panther-token-rotation/") {
		return
	}
	s.pantherCalls++
	if c.Rotated {
		s.switched = c.Time
	}
	token := s.term.Marked(s.form.fresh)
	switch {
	case s.step == "testSecret" && (c.Status == http.StatusUnauthorized || c.Status == http.StatusForbidden):
		s.refused = append(s.refused, c)
		return
	case c.Rotated && s.grace > 0:
		s.tellCall("Panther", string(c.Operation), token+" is in memory only, "+s.form.replaced+" has its grace")
	case c.Rotated:
		s.tellCall("Panther", string(c.Operation), s.form.replaced+" is dead; "+token+" exists in memory only")
	case c.Status == http.StatusOK && s.step == "testSecret":
		s.tellRefusals()
		if s.works {
			token = s.term.Marked("token 1") // the standby now
		}
		s.works = true
		s.tellCall("Panther", string(c.Operation), token+" works")
	default:
		s.tellRefusals()
		s.tellCall("Panther", string(c.Operation), s.term.Waiting(fmt.Sprintf("HTTP %d", c.Status)))
	}
}

func (s *story) tellCall(service, operation, meaning string) {
	s.printf("  %s %s %s %s\n", s.term.Dim("│"), s.term.Dim(terminal.Pad(service, 16)), terminal.Pad(operation, 25), meaning)
}

func (s *story) tellRefusals() {
	if len(s.refused) == 0 {
		return
	}
	times := fmt.Sprintf("%d times", len(s.refused))
	switch len(s.refused) {
	case 1:
		times = "once"
	case 2:
		times = "twice"
	}
	s.tellCall("Panther", string(s.refused[0].Operation), fmt.Sprintf("%s does not work yet: %d, %s",
		s.term.Marked(s.form.fresh), s.refused[0].Status, times))
	s.refused = nil
}

// tick keeps the live line going while the new token is refused.
func (s *story) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) == 0 || s.silent {
		return
	}
	waited := time.Since(s.refused[0].Time)
	accepted, asked := s.reader.Count()
	s.term.Live(fmt.Sprintf("  %s %s %s", s.term.Dim("│"), s.term.Dim(terminal.Pad("Panther", 16)),
		s.term.Waiting(fmt.Sprintf("waiting for %s: %.1f s; reader: %d of %d requests accepted", s.form.fresh, waited.Seconds(), accepted, asked))))
}

// logged takes a line of the function's log.
func (s *story) logged(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = append(s.logs, line)
	var report struct {
		Record struct {
			Metrics struct{ InitDurationMs float64 }
		}
	}
	if json.Unmarshal([]byte(line), &report) == nil && report.Record.Metrics.InitDurationMs > 0 {
		s.coldStart = inShort(time.Duration(report.Record.Metrics.InitDurationMs * float64(time.Millisecond)))
	}
}

// searchLog looks for tokens in what the function logged, and for any eight
// characters of them in a row.
func (s *story) searchLog(tokens []string) (lines int, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, token := range tokens {
		for i := 0; i+8 <= len(token); i++ {
			found = found || slices.ContainsFunc(s.logs, func(line string) bool { return strings.Contains(line, token[i:i+8]) })
		}
	}
	return len(s.logs), found
}

// fallSilent ends the story early.
func (s *story) fallSilent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = true
}

func (s *story) printf(format string, args ...any) {
	if !s.silent {
		s.term.Printf(format, args...)
	}
}
