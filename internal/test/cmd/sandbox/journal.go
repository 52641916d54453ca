package main

import (
	"strings"
	"sync"
	"time"

	"panther-token-rotation/internal/test/cmd/terminal"
	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

// journal prints what happens in the sandbox. It is safe for concurrent use.
type journal struct {
	term *terminal.Terminal

	mu     sync.Mutex
	closed bool
}

func newJournal(term *terminal.Terminal) *journal { return &journal{term: term} }

func (j *journal) print(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.closed {
		j.term.Printf("%s", text)
	}
}

// close keeps to itself what happens from now on: rotations and processes that
// end because the sandbox does.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
}

// logged prints a line of the function's log as it is, so that it may be piped
// into other programs.
func (j *journal) logged(line string) { j.print(j.term.Dim(line) + "\n") }

// happened prints an event of a rotation. The steps' beginnings are in Lambda's
// log already.
func (j *journal) happened(e secretsmanager.Event) {
	if e.Name == "StepStarted" {
		return
	}
	text := e.Time.Format(time.TimeOnly) + "  " + e.Name
	if e.Step != "" {
		text += " " + e.Step
	}
	text += "  " + nameOf(e.SecretARN) + ", version " + e.VersionID
	if e.Duration > 0 {
		text += ", " + e.Duration.Round(time.Millisecond).String()
	}
	if e.Err != nil && e.Step == "" {
		text += ": " + e.Err.Error()
	}
	switch {
	case e.Err != nil:
		text = j.term.Bad(text)
	case e.Name == "RotationSucceeded" || e.Name == "TestRotationSucceeded":
		text = j.term.Good(text)
	}
	j.print(text + "\n")
}

// nameOf returns the name of the secret with this ARN, which ends with a dash and
// six more characters.
func nameOf(arn string) string {
	_, name, _ := strings.Cut(arn, ":secret:")
	return name[:max(0, len(name)-7)]
}
