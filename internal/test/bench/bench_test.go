package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"panther-token-rotation/internal/test/sandbox"
)

func TestBuildFlagsAreThoseOfTheMakefile(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	flags := strings.Replace(strings.Join(buildFlags, " "), "-s -w", "'-s -w'", 1)
	if !strings.Contains(string(makefile), "\nFLAGS := "+flags+"\n") || !strings.Contains(string(makefile), "go build $(FLAGS) -o '$(BUILT)/bootstrap' ./function\n") {
		t.Errorf("make build does not build with %s", flags)
	}
}

func TestInvalidUse(t *testing.T) {
	for _, arg := range []string{"-fast", "now"} {
		var stderr bytes.Buffer
		if code := run(t.Context(), []string{arg}, &bytes.Buffer{}, &stderr); code != exitUsage || stderr.Len() == 0 {
			t.Errorf("%s: exit code %d, %q", arg, code, stderr.String())
		}
	}
}

func TestExitCodeAndSummary(t *testing.T) {
	ok, no, unknown := figure{verdict: met}, figure{verdict: missed}, figure{verdict: notMeasured}
	slow, noPython := figure{verdict: missed, isSpeed: true}, figure{verdict: notMeasured, isSpeed: true}
	for _, c := range []struct {
		quick   bool
		figures []figure
		code    int
		summary string
	}{
		{false, []figure{ok, ok}, exitMet, "Of 2 targets that count, 2 are met."},
		{false, []figure{ok, unknown}, exitNotMeasured, "Of 2 targets that count, 1 are met, 1 not measured."},
		{false, []figure{unknown, no, ok}, exitMissed, "Of 3 targets that count, 1 are met, 1 missed, 1 not measured."},
		{false, []figure{ok, slow}, exitMissed, "Of 2 targets that count, 1 are met, 1 missed."},
		{true, []figure{ok, slow, noPython}, exitMet, "Of 1 targets that count, 1 are met. Speeds do not count with -quick: 2."},
		{true, []figure{no, slow}, exitMissed, "Of 1 targets that count, 0 are met, 1 missed. Speeds do not count with -quick: 1."},
	} {
		r := &report{quick: c.quick}
		for _, f := range c.figures {
			r.add(f)
		}
		if r.exitCode() != c.code || r.summary() != c.summary {
			t.Errorf("exit code %d, want %d; %q, want %q", r.exitCode(), c.code, r.summary(), c.summary)
		}
		if text := strings.ToLower(r.summary() + r.markdown()); c.code == exitMet && strings.Contains(text, "missed") {
			t.Errorf("exit code 0, but the report says missed:\n%s", text)
		}
	}
}

func TestTargetAppliesToTheRatioOfMedians(t *testing.T) {
	ours, theirs := sample{90, 14, 15}, sample{9, 10, 10, 11}
	for _, c := range []struct {
		ours   sample
		target float64
		want   verdict
	}{
		{ours, 1.5, met}, {ours, 1.49, missed}, {sample{}, 1.5, notMeasured}, {sample{0}, 1.5, notMeasured},
	} {
		if f := timesAsMuch("f", "ms", "b", c.ours, theirs, c.target); f.verdict != c.want {
			t.Errorf("%v at most %.2f ×: %s, want %s", c.ours, c.target, f.verdict, c.want)
		}
	}
}

func TestWithoutPython(t *testing.T) {
	t.Setenv("BENCH_PYTHON", filepath.Join(t.TempDir(), "python"))
	path, version := findPython(t.Context())
	if f := comparedWithPython(sample{1}, sample{}, version); path != "" || f.verdict != notMeasured {
		t.Errorf("%q, %+v", path, f)
	}
}

func TestLostTokenIsDetected(t *testing.T) {
	a, err := openAccount(t.Context(), sandbox.Options{Binary: os.Args[0]}) // never invoked
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s, err := a.createSecret(t.Context(), "bench", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.checkRotated(t.Context(), s); err == nil {
		t.Error("a token that was not rotated passed")
	}
	if err := a.checkRotated(t.Context(), secret{arn: s.arn, token: "another one"}); err != nil {
		t.Errorf("a new, living token: %v", err)
	}
	a.Panther.Revoke(s.token)
	lost := a.checkRotated(t.Context(), secret{arn: s.arn, token: "another one"})
	if lost == nil {
		t.Fatal("a dead token passed")
	}
	calm, rough := &crowd{took: sample{1}}, &crowd{took: sample{1}}
	rough.calls.Store(1000)
	if _, err := manySecretsFigure(calm, rough); err == nil {
		t.Error("a run without failed calls is a result")
	}
	rough.failed.Store(100)
	for _, c := range []struct {
		lost []error
		want verdict
	}{{nil, met}, {[]error{lost}, missed}} {
		rough.lost = c.lost
		if f, err := manySecretsFigure(calm, rough); err != nil || f.verdict != c.want {
			t.Errorf("%d lost: %+v, %v", len(c.lost), f, err)
		}
	}
}
