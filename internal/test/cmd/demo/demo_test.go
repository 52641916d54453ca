package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"panther-token-rotation/internal/test/cmd/terminal"
	"panther-token-rotation/internal/test/sandbox"
)

var update = flag.Bool("update", false, "write the transcripts in testdata again")

func noVariables(string) string { return "" }

// leavesNothing makes sure that a test ends all it starts and removes all it
// makes.
func leavesNothing(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		goleak.VerifyNone(t)
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// settled is a transcript without what differs from run to run.
func settled(transcript string) string {
	for _, varying := range []struct{ form, settled string }{
		{`\d+(\.\d+)? (ms|s)\b`, "0 s"},
		{`401, (once|twice|\d+ times)`, "401, N times"},
		{`\d+ to Panther`, "N to Panther"},
		{`(\d+) of (\d+) requests`, "N of M requests"},
		{`[0-9a-f]{8}…`, "01234567…"},
	} {
		transcript = regexp.MustCompile(varying.form).ReplaceAllString(transcript, varying.settled)
	}
	return transcript
}

func TestTranscripts(t *testing.T) {
	for name, args := range map[string][]string{"transcript.txt": nil, "single.txt": {"-single"}} {
		t.Run(name, func(t *testing.T) { testTranscript(t, name, args) })
	}
}

func testTranscript(t *testing.T, name string, args []string) {
	leavesNothing(t)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append(args, "-propagation", "1s"), &stdout, &stderr, noVariables); code != 0 {
		t.Errorf("exit code %d; %s", code, stderr.String())
	}
	var accepted, asked int
	at := strings.Index(stdout.String(), "to Panther. ")
	if _, err := fmt.Sscanf(stdout.String()[max(at, 0):], "to Panther. %d of %d requests", &accepted, &asked); err != nil || (accepted < asked) != (len(args) > 0) {
		t.Errorf("%d of %d requests of the reader were accepted (%v)", accepted, asked, err)
	}
	golden := filepath.Join("testdata", name)
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
		t.Errorf("the demo says something else (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(stdout.String()) {
		if utf8.RuneCountInString(line) > 100 {
			t.Errorf("a line is too wide: %s", line)
		}
	}
}

// functionBinary is built once for the tests that do not build it themselves.
var functionBinary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "demo-test-")
	if err != nil {
		panic(err)
	}
	if functionBinary, err = sandbox.Build(context.Background(), dir); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func TestEachCheckCanFail(t *testing.T) {
	t.Run("one token", func(t *testing.T) { testEachCheckCanFail(t, oneToken) })
	t.Run("two tokens", func(t *testing.T) { testEachCheckCanFail(t, twoTokens) })
}

func testEachCheckCanFail(t *testing.T, f form) {
	leavesNothing(t)
	var out bytes.Buffer
	d := newDemo(terminal.New(&out, noVariables), sandbox.Options{Binary: functionBinary}, f)
	defer d.close()
	if err := d.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, err := d.createSecret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.rotateSecret(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := d.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.check(t.Context(), before, after); err != nil {
		t.Fatal(err)
	}

	oldVersion, newVersion := d.story.old, d.story.new
	oldToken, newToken := d.replacedToken(before.current), tokenIn(after.current, tokenKey)
	for _, c := range []struct {
		failing string
		change  func(before, after *secretState)
	}{
		{"Panther refuses " + f.replaced, func(before, _ *secretState) {
			before.current = strings.Replace(before.current, oldToken, newToken, 1)
		}},
		{"Panther accepts " + f.fresh, func(_, after *secretState) { after.current = strings.Replace(after.current, newToken, oldToken, 1) }},
		{"AWSCURRENT is on version 2", func(_, after *secretState) {
			after.labels[oldVersion] = []string{"AWSCURRENT"}
			delete(after.labels, newVersion)
		}},
		{"AWSPREVIOUS is on version 1", func(_, after *secretState) { delete(after.labels, oldVersion) }},
		{"AWSPREVIOUS is on version 1", func(_, after *secretState) { after.previous += " " }},
		{"AWSPENDING is on no version", func(_, after *secretState) { after.labels[newVersion] = []string{"AWSCURRENT", "AWSPENDING"} }},
		{"the rest of the JSON secret", func(_, after *secretState) { after.current += "\n" }},
		{"the rest of the JSON secret", func(_, after *secretState) { after.current = `{"PANTHER_API_TOKEN":"` + newToken + `"}` }},
	} {
		b, a := before, after
		a.labels = maps.Clone(after.labels)
		c.change(&b, &a)
		out.Reset()
		if err := d.check(t.Context(), b, a); err == nil || !strings.Contains(out.String(), "✗ "+c.failing) {
			t.Errorf("%q passed:\n%s", c.failing, out.String())
		}
	}

	if f.tokens == 2 {
		d.asked++
		out.Reset()
		if err := d.check(t.Context(), before, after); err == nil || !strings.Contains(out.String(), "✗ a reader never noticed") {
			t.Errorf("a refused request passed:\n%s", out.String())
		}
		d.asked--
	}
	d.story.logged("a part of a token: " + newToken[20:30])
	out.Reset()
	if err := d.check(t.Context(), before, after); err == nil || !strings.Contains(out.String(), "✗ the function's log has no token") {
		t.Errorf("part of a token in the log passed:\n%s", out.String())
	}
}

func TestFailedRotationIsReportedAndFails(t *testing.T) {
	leavesNothing(t)
	options := sandbox.Options{Binary: functionBinary, Timeout: 10 * time.Second}
	options.SecretsManager.RetryPause = time.Millisecond
	options.SecretsManager.RotationAttempts = 2
	var out bytes.Buffer
	err := rotate(t.Context(), terminal.New(&out, noVariables), options, twoTokens)
	if err == nil {
		t.Error("no error")
	}
	for _, want := range []string{"NoTime: too little time is left", "Secrets Manager runs the rotation again."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "is true") {
		t.Errorf("a success is claimed:\n%s", out.String())
	}
}

// trigger is an output that calls then when it is written a text.
type trigger struct {
	bytes.Buffer
	text string
	then func()
}

func (w *trigger) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.text)) {
		w.then()
	}
	return w.Buffer.Write(p)
}

func TestInterruptEndsEverything(t *testing.T) {
	leavesNothing(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout := &trigger{text: "testSecret", then: cancel}
	if code := run(ctx, []string{"-propagation", "1m"}, stdout, &bytes.Buffer{}, noVariables); code != 130 {
		t.Errorf("exit code %d", code)
	}
	if !strings.HasSuffix(stdout.String(), "\nInterrupted. Everything that was started has ended.\n") {
		t.Errorf("it ends with: %s", stdout.String()[max(0, stdout.Len()-200):])
	}
	if strings.Contains(stdout.String(), "failed") {
		t.Errorf("the interrupt is told as a failure:\n%s", stdout)
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"-h", 0, "-propagation"},
		{"-nonsense", 2, "not defined"},
		{"-propagation nonsense", 2, "invalid value"},
		{"nonsense", 2, "flags only"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(c.args), &stdout, &stderr, noVariables)
		if code != c.code || !strings.Contains(stderr.String(), c.says) || stdout.Len() > 0 {
			t.Errorf("%s: exit code %d, %s", c.args, code, stderr.String())
		}
	}
}
