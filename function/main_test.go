package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"panther-token-rotation/internal/version"
)

// actAsFunction has the test binary run main.
const actAsFunction = "TEST_ACT_AS_FUNCTION"

func TestMain(m *testing.M) {
	if os.Getenv(actAsFunction) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestABrokenOutputDoesNotEndTheProcess closes the reader of standard output.
// Go's default is to die of SIGPIPE at the first line that is written.
func TestABrokenOutputDoesNotEndTheProcess(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stdout = []string{actAsFunction + "=1"}, writer // invalid settings: it logs a line and exits
	exit, ok := errors.AsType[*exec.ExitError](cmd.Run())
	if !ok || exit.ExitCode() != 1 {
		t.Errorf("the process ended with %v, want exit code 1", exit)
	}
}

func TestTheFirstLineOfTheLogHasTheVersion(t *testing.T) {
	c, err := readConfig(environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	newHandler(c, &log)
	first, _, _ := strings.Cut(log.String(), "\n")
	if want := `"functionVersion":"` + version.Number + `"`; !strings.Contains(first, want) {
		t.Errorf("the first line is %s, want %s in it", first, want)
	}
}
