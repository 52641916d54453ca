// Command mutants changes the decisions of internal/rotation, one at a time, and
// runs its unit tests against each change. A change that no test notices is a
// decision that no test checks. The source tree stays as it is: the changes are
// given to go test with -overlay.
//
// A change that has no effect is listed in equivalent.go, with the reason. The
// last line of the output is "N mutants, N survived, N equivalent". The exit
// status is 1 if a mutant survived or the list is out of date.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// target is a package to change, and the packages whose tests must notice.
type target struct {
	folder string
	wanted func(name string) bool
	tests  []string
}

// strategy is the part of internal/secret that decides what a rotation does
// with the tokens in a value.
var strategy = []string{"Standby", "Tokens", "Holds", "Next", "Rotated", "WithTokens", "CheckRoom"}

var targets = []target{
	{"internal/rotation", func(name string) bool { return !slices.Contains([]string{"events", "nextActions", "Kinds"}, name) }, []string{"./internal/rotation"}},
	{"internal/secret", func(name string) bool { return slices.Contains(strategy, name) }, []string{"./internal/rotation", "./internal/secret"}},
}

// outcome is what the tests say of a mutant.
type outcome struct {
	mutant
	builds  bool
	noticed []string // the tests that fail
}

func main() {
	only := flag.String("only", "", "change only what matches this `pattern`")
	flag.Parse()
	ok, err := run(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(only string) (ok bool, err error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	scratch, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(scratch)
	var jobs []func() outcome
	for _, t := range targets {
		mutants, err := t.mutants()
		if err != nil {
			return false, err
		}
		for _, m := range mutants {
			if pattern.MatchString(m.key()) {
				jobs = append(jobs, func() outcome { return try(scratch, m, t.tests) })
			}
		}
	}
	return report(inParallel(jobs), only == ""), nil
}

// mutants returns the mutants of every file of the package that is not a test.
func (t target) mutants() (all []mutant, err error) {
	paths, err := filepath.Glob(filepath.Join(t.folder, "*.go"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no Go file in %s: run it from the root of the module", t.folder)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		mutants, err := mutantsOf(path, string(source), t.wanted)
		if err != nil {
			return nil, err
		}
		all = append(all, mutants...)
	}
	return all, nil
}

// inParallel runs the jobs and returns their outcomes in order.
func inParallel(jobs []func() outcome) []outcome {
	outcomes := make([]outcome, len(jobs))
	var wait sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := range next {
				outcomes[i] = jobs[i]()
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	wait.Wait()
	return outcomes
}

var failedTest = regexp.MustCompile(`(?m)^(?:--- FAIL: |panic: test timed out|panic: |fatal error: )(\w*)`)

// try runs the tests against one mutant.
func try(scratch string, m mutant, tests []string) outcome {
	base := filepath.Join(scratch, fmt.Sprintf("%s-%d-%d-%x", filepath.Base(m.file), m.start, m.end, m.with[:min(len(m.with), 20)]))
	changed := m.source[:m.start] + m.with + m.source[m.end:]
	absolute, _ := filepath.Abs(m.file)
	overlay, _ := json.Marshal(map[string]map[string]string{"Replace": {absolute: base + ".go"}})
	for path, text := range map[string]string{base + ".go": changed, base + ".json": string(overlay)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			panic(err) // nothing can be tried then
		}
	}
	arguments := append([]string{"test", "-overlay", base + ".json", "-vet=off", "-ldflags=-s -w", "-count=1", "-timeout=15s"}, tests...)
	said, err := exec.CommandContext(context.Background(), "go", arguments...).CombinedOutput()
	o := outcome{mutant: m, builds: !strings.Contains(string(said), "[build failed]")}
	if err != nil && o.builds {
		for _, match := range failedTest.FindAllStringSubmatch(string(said), -1) {
			if match[1] == "" || !strings.HasPrefix(match[1], "Test") {
				match[1] = "a panic"
			}
			o.noticed = append(o.noticed, match[1])
		}
		if len(o.noticed) == 0 {
			o.noticed = []string{"go test: " + strings.TrimSpace(string(said))}
		}
	}
	return o
}

// report prints what became of each mutant. all reports whether the list of
// equivalents must be used up.
func report(outcomes []outcome, all bool) (ok bool) {
	total, survived, equivalent := 0, 0, 0
	used := map[string]bool{}
	ok = true
	for _, o := range outcomes {
		reason, listed := equivalents[o.key()]
		used[o.key()] = used[o.key()] || listed
		if !o.builds {
			continue
		}
		total++
		verdict := "noticed by " + strings.Join(o.noticed[:min(len(o.noticed), 4)], ", ")
		switch {
		case len(o.noticed) > 4:
			verdict += fmt.Sprintf(" and %d more", len(o.noticed)-4)
		case len(o.noticed) > 0:
		case listed:
			equivalent++
			verdict = "equivalent: " + reason
		default:
			survived++
			verdict = "SURVIVED"
		}
		if listed && len(o.noticed) > 0 {
			ok = false
			verdict += "; NOT EQUIVALENT, take it off the list"
		}
		fmt.Printf("%s:%d %s: %s\n", o.file, o.line, o.key(), verdict)
	}
	for key := range equivalents {
		if all && !used[key] {
			ok = false
			fmt.Printf("%s: LISTED, but there is no such mutant\n", key)
		}
	}
	fmt.Printf("%d mutants, %d survived, %d equivalent\n", total, survived, equivalent)
	return ok && survived == 0
}
