package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"panther-token-rotation/internal/test/sandbox"
)

// control switches faults and makes and deletes tokens, from HTTP on loopback
// and from the keyboard.
type control struct {
	box     *sandbox.Sandbox
	journal *journal
}

// handler is the control over HTTP.
func (c *control) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, act func(r *http.Request) (string, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			text, err := act(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusNotFound)
				return
			}
			fmt.Fprintln(w, text)
		})
	}
	handle("GET /{$}", func(r *http.Request) (string, error) { return c.help(r.Host), nil })
	handle("POST /faults/{name}", func(r *http.Request) (string, error) { return c.on(r.Context(), r.PathValue("name")) })
	handle("DELETE /faults/{name}", func(r *http.Request) (string, error) { return c.off(r.Context(), r.PathValue("name")) })
	handle("GET /tokens", func(*http.Request) (string, error) { return c.tokens(), nil })
	handle("POST /tokens", func(r *http.Request) (string, error) {
		token := c.box.Panther.NewToken("made by hand")
		c.journal.print(fmt.Sprintf("Panther made the token %s.\n", c.box.Panther.ID(token)))
		return token, nil
	})
	handle("DELETE /tokens/{which}", func(r *http.Request) (string, error) {
		id, err := c.box.DeleteToken(r.Context(), r.PathValue("which"))
		if err != nil {
			return "", err
		}
		return c.say("Panther deleted the token " + id), nil
	})
	return mux
}

func (c *control) say(text string) string {
	c.journal.print(c.journal.term.Bold(text) + "\n")
	return text
}

func (c *control) on(ctx context.Context, name string) (string, error) {
	f, err := c.box.On(ctx, name)
	if err != nil {
		return "", err
	}
	state := "on: "
	if f.Once {
		state = "done: "
	}
	return c.say(name + " is " + state + f.Does + ".\n  Watch: " + f.Watch + "."), nil
}

func (c *control) off(ctx context.Context, name string) (string, error) {
	if _, err := c.box.Off(ctx, name); err != nil {
		return "", err
	}
	return c.say(name + " is off."), nil
}

func (c *control) tokens() string {
	var text strings.Builder
	for _, t := range c.box.Panther.Tokens() {
		fmt.Fprintf(&text, "%s  %-11s  %s\n", t.ID, t.Status, t.Name)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// help lists the faults, by the number that switches each on the keyboard.
func (c *control) help(address string) string {
	var text strings.Builder
	for i, f := range sandbox.Faults {
		state := "   "
		if c.box.IsOn(f.Name) {
			state = "on "
		}
		fmt.Fprintf(&text, "%s%d  %-19s  %s\n", state, i+1, f.Name, f.Does)
	}
	fmt.Fprintf(&text, `
A fault strikes whichever secret rotates next.

curl -X POST   http://%[1]s/faults/NAME     switches a fault on, DELETE switches it off
curl           http://%[1]s/tokens          lists Panther's tokens
curl -X POST   http://%[1]s/tokens          makes a token and shows it
curl -X DELETE http://%[1]s/tokens/WHICH    deletes one: its id, or active or standby of %[2]s`, address, sandbox.SecretName)
	return text.String()
}

// keys reads lines from a terminal: the number of a fault switches it, and
// anything else shows the help.
func (c *control) keys(ctx context.Context, in io.Reader, address string) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		n, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil || n < 1 || n > len(sandbox.Faults) {
			c.journal.print(c.help(address) + "\n")
			continue
		}
		name, act := sandbox.Faults[n-1].Name, c.on
		if c.box.IsOn(name) {
			act = c.off
		}
		if _, err := act(ctx, name); err != nil {
			c.say(err.Error())
		}
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}
