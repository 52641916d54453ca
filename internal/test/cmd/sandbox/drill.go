package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"panther-token-rotation/internal/test/sandbox"
	"panther-token-rotation/internal/test/sandbox/drill"
)

// listDrills says which drills there are.
func listDrills(out io.Writer) {
	for _, d := range drill.All() {
		fmt.Fprintf(out, "  make drill NAME=%-17s %s\n", d.Name, d.Scene)
	}
}

// prepareDrill makes the settings of the drill, if there is one. The directory is
// for the age key, and is the caller's to remove.
func prepareDrill(s *settings) (d drill.Drill, dir string, err error) {
	if s.drill == "" {
		return d, "", nil
	}
	if d, err = drill.Named(s.drill); err != nil {
		return d, "", err
	}
	if dir, err = os.MkdirTemp("", "drill-"); err != nil {
		return d, "", err
	}
	timeout, err := time.ParseDuration(s.Env["PROPAGATION_TIMEOUT"])
	if err == nil {
		err = drill.Prepare(&s.Options, dir, timeout)
	}
	return d, dir, err
}

// playDrill sets the scene, says what to do and waits until the secret is healthy.
func playDrill(ctx context.Context, c *control, d drill.Drill, dir, address string) error {
	j := c.journal
	j.print("Setting the scene, which takes up to a minute …\n")
	scene, err := d.Setup(ctx, c.box)
	if err != nil {
		return err
	}
	term := j.term
	var text strings.Builder
	fmt.Fprintf(&text, "\n%s %s\n%s\n\n", term.Bold("Drill "+d.Name+"."), d.Scene, term.Bold(d.Task))
	fmt.Fprintf(&text, "Paste these lines into another terminal, then do what the runbook says:\n")
	for _, line := range environment(c.box) {
		text.WriteString("  " + term.Marked(line) + "\n")
	}
	fmt.Fprintf(&text, "\nThe secret is %s, the function %s.\n", sandbox.SecretName, c.box.Function.ARN())
	fmt.Fprintf(&text, "Panther is at %s. Its console is at http://%s/\n", c.box.PantherURL, address)
	fmt.Fprintf(&text, "The age key is in %s\n\n", filepath.Join(dir, "key.txt"))
	j.print(text.String())

	var shown []string
	for {
		problems, err := scene.Problems(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			problems = []string{err.Error()}
		}
		if slices.Sort(problems); !slices.Equal(problems, shown) {
			for _, problem := range problems {
				j.print(term.Bad("Not healthy: "+problem) + "\n")
			}
		}
		if len(problems) == 0 {
			j.print(term.Good("The secret is healthy again. The drill is solved; Ctrl-C ends it.") + "\n")
			return nil
		}
		shown = problems
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}
