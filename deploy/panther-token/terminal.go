package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"panther-token-rotation/internal/secret"
)

// terminal talks to the person: a live line and colours where stderr is a
// terminal, plain lines elsewhere. What a command is asked for goes to stdout;
// progress, questions and errors go to stderr.
type terminal struct {
	m      machine
	lines  *bufio.Reader
	live   bool
	colour bool
	shown  bool   // a live line is on the screen
	last   string // the last line of progress
}

func newTerminal(m machine) *terminal {
	t := &terminal{m: m, lines: bufio.NewReader(m.stdin)}
	if file, ok := m.stderr.(*os.File); ok {
		t.live = term.IsTerminal(int(file.Fd())) && m.getenv("TERM") != "dumb"
	}
	t.colour = t.live && m.getenv("NO_COLOR") == ""
	return t
}

// say writes a line to stderr.
func (t *terminal) say(format string, args ...any) {
	t.clear()
	fmt.Fprintf(t.m.stderr, format+"\n", args...)
}

// progress shows what the command waits for, and for how long where lines can
// change. Elsewhere it writes each text once.
func (t *terminal) progress(text, elapsed string) {
	if t.live {
		t.clear()
		fmt.Fprint(t.m.stderr, t.dim(text+" "+elapsed))
		t.shown = true
	} else if text != t.last {
		fmt.Fprintln(t.m.stderr, text)
	}
	t.last = text
}

func (t *terminal) clear() {
	if t.shown {
		fmt.Fprint(t.m.stderr, "\r\x1b[K")
		t.shown = false
	}
}

func (t *terminal) bold(s string) string { return t.paint("1", s) }
func (t *terminal) dim(s string) string  { return t.paint("2", s) }
func (t *terminal) good(s string) string { return t.paint("32", s) }
func (t *terminal) bad(s string) string  { return t.paint("31", s) }

func (t *terminal) paint(code, s string) string {
	if !t.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// confirm asks a question. Without a person it fails and names the flag that
// answers.
func (t *tool) confirm(ctx context.Context, flag, format string, args ...any) error {
	question := fmt.Sprintf(format, args...)
	if t.yes && flag == "--yes" {
		return nil
	}
	if !t.interactive {
		return refuse("Repeat the command with "+flag+".", "%s No terminal is there to answer", question)
	}
	t.clear()
	fmt.Fprintf(t.stderr, "%s [y/N] ", question)
	line, err := await(ctx, func() (string, error) { return t.lines.ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return refuse("", "Not confirmed. Nothing was changed")
	}
	return nil
}

// readToken reads a token: from a prompt without echo, or from a line of stdin.
// It may be empty.
func (t *tool) readToken(ctx context.Context, prompt string) (secret.Text, error) {
	t.clear()
	read := func() (string, error) { return t.lines.ReadString('\n') }
	if t.interactive {
		fmt.Fprint(t.stderr, prompt+": ")
		defer fmt.Fprintln(t.stderr)
		if file, ok := t.stdin.(*os.File); ok {
			state, err := term.GetState(int(file.Fd()))
			if err != nil {
				return secret.Text{}, errors.New("cannot switch off the echo of the terminal")
			}
			defer func() { _ = term.Restore(int(file.Fd()), state) }()
			read = func() (string, error) {
				line, err := term.ReadPassword(int(file.Fd()))
				return string(line), err
			}
		}
	}
	line, err := await(ctx, read)
	if err != nil && !errors.Is(err, io.EOF) {
		if ctx.Err() == nil {
			err = errors.New("cannot read the token")
		}
		return secret.Text{}, err
	}
	token := strings.TrimSpace(line)
	if token != "" && !secret.FitsHeader(token) {
		return secret.Text{}, refuse("Give the token alone, as the Panther console shows it.", "the input is not a token: it has white space, control or non-ASCII characters")
	}
	return secret.NewText(token), nil
}

// await reads, and returns early if ctx ends.
func await(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := read()
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
