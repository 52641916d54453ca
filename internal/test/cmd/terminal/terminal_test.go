package terminal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

// device is a character device, as terminals are.
func device(t *testing.T) *os.File {
	t.Helper()
	file, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func TestColourOnTerminalsOnly(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	terminal := device(t)

	for _, c := range []struct {
		name      string
		term      *Terminal
		bold      string
		changeful bool
	}{
		{"terminal", New(terminal, environment(nil)), "\x1b[1mx\x1b[0m", true},
		{"terminal with NO_COLOR", New(terminal, environment(map[string]string{"NO_COLOR": "1"})), "x", true},
		{"terminal with NO_COLOR set to nothing", New(terminal, environment(map[string]string{"NO_COLOR": ""})), "\x1b[1mx\x1b[0m", true},
		{"dumb terminal", New(terminal, environment(map[string]string{"TERM": "dumb"})), "x", false},
		{"file", New(file, environment(nil)), "x", false},
		{"program", New(&bytes.Buffer{}, environment(nil)), "x", false},
	} {
		if got := c.term.Bold("x"); got != c.bold {
			t.Errorf("%s: bold is written %q, want %q", c.name, got, c.bold)
		}
		if c.term.live != c.changeful {
			t.Errorf("%s: lines that change: %t, want %t", c.name, c.term.live, c.changeful)
		}
	}
}

func TestLiveLineGivesWay(t *testing.T) {
	var out bytes.Buffer
	term := &Terminal{out: &out, live: true}
	term.Live("1 s")
	term.Live("2 s")
	term.Printf("done\n")
	term.Printf("next\n")
	if got, want := out.String(), "1 s\r\x1b[K2 s\r\x1b[Kdone\nnext\n"; got != want {
		t.Errorf("written: %q, want %q", got, want)
	}
}

func TestNoLiveLineInPlainText(t *testing.T) {
	var out bytes.Buffer
	term := New(&out, environment(nil))
	term.Live("1 s")
	term.Printf("done\n")
	if got := out.String(); got != "done\n" {
		t.Errorf("written: %q", got)
	}
}
