package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// askForAnInvocation has the test binary act as a function, for a test of the
// stopwatch.
const askForAnInvocation = "ask-for-an-invocation"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == askForAnInvocation {
		http.Get("http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/next")
		return
	}
	goleak.VerifyTestMain(m)
}

func TestBuildsAsMakeDoes(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	flags := strings.Replace(strings.Join(buildFlags, " "), "-s -w", "'-s -w'", 1)
	if !strings.Contains(string(makefile), "go build "+flags+" -o '$(BUILT)/bootstrap' ./function") {
		t.Errorf("make build does not build with %s", flags)
	}
}

func TestWrongUse(t *testing.T) {
	for _, args := range [][]string{{"-fast"}, {"now"}} {
		var out, problems bytes.Buffer
		if code := run(t.Context(), args, &out, &problems); code != exitUsage || problems.Len() == 0 {
			t.Errorf("%v: exit code %d, %q", args, code, problems.String())
		}
	}
}

func TestStopwatch(t *testing.T) {
	api, err := newStopwatch()
	if err != nil {
		t.Fatal(err)
	}
	defer api.close()
	for range 2 {
		took, err := api.start(t.Context(), []string{os.Args[0], askForAnInvocation})
		if err != nil || took <= 0 {
			t.Errorf("took %s, %v", took, err)
		}
	}
	if _, err := api.start(t.Context(), []string{os.Args[0], "-test.run=^$"}); err == nil {
		t.Error("a process that ended at once was taken for one that asked for an invocation")
	}
}

func TestWithoutPython(t *testing.T) {
	t.Setenv("BENCH_PYTHON", filepath.Join(t.TempDir(), "python"))
	if _, _, err := findPython(t.Context()); err == nil || err.Error() != "no Python with boto3" {
		t.Errorf("error: %v", err)
	}
}
