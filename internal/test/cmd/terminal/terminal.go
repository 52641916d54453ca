// Package terminal writes for people: in colour, and with a line that changes,
// where the output is a terminal; plain text anywhere else.
package terminal

import (
	"fmt"
	"io"
	"os"
)

// Terminal is an output. It is not safe for concurrent use.
type Terminal struct {
	out    io.Writer
	colour bool
	live   bool
	shown  bool // a live line is on the screen
}

// New makes a Terminal of out. There are colours only if out is a terminal and
// NO_COLOR (https://no-color.org) is not set, and no control sequences at all if
// TERM is dumb.
func New(out io.Writer, getenv func(string) string) *Terminal {
	t := &Terminal{out: out}
	if file, ok := out.(*os.File); ok && getenv("TERM") != "dumb" {
		info, err := file.Stat()
		t.live = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	t.colour = t.live && getenv("NO_COLOR") == ""
	return t
}

// Printf writes text in place of the live line.
func (t *Terminal) Printf(format string, args ...any) {
	t.clear()
	fmt.Fprintf(t.out, format, args...)
}

// Live shows a line that stays until the next output. It does nothing where
// lines cannot change.
func (t *Terminal) Live(line string) {
	if !t.live {
		return
	}
	t.clear()
	fmt.Fprint(t.out, line)
	t.shown = true
}

func (t *Terminal) clear() {
	if t.shown {
		fmt.Fprint(t.out, "\r\x1b[K")
		t.shown = false
	}
}

// Pad fills text with spaces to a width in characters.
func Pad(text string, width int) string {
	return fmt.Sprintf("%-*s", width, text)
}

// Bold is for headings.
func (t *Terminal) Bold(text string) string { return t.paint("1", text) }

// Dim is for what one may pass over.
func (t *Terminal) Dim(text string) string { return t.paint("2", text) }

// Good is for what is as it should be.
func (t *Terminal) Good(text string) string { return t.paint("32", text) }

// Bad is for what is not.
func (t *Terminal) Bad(text string) string { return t.paint("31", text) }

// Waiting is for what is not yet.
func (t *Terminal) Waiting(text string) string { return t.paint("33", text) }

// Marked is for names that one looks for.
func (t *Terminal) Marked(text string) string { return t.paint("36", text) }

func (t *Terminal) paint(code, text string) string {
	if !t.colour || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
