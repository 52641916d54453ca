package main

import (
	"go/format"
	"slices"
	"strings"
	"testing"
)

const example = `package p

var table = map[action]map[int]action{rotate: {1: search}}

func f(a, b int, c bool) (bool, error) {
	if a < b && !c {
		x = min(a, b)
		call()
		return true, err
	}
	switch {
	case a == b, c:
		return false, nil
	}
	return c, nil
}
`

func TestEachDecisionIsChanged(t *testing.T) {
	mutants, err := mutantsOf("p.go", example, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range mutants {
		names = append(names, m.key())
		changed := m.source[:m.start] + m.with + m.source[m.end:]
		if _, err := format.Source([]byte(changed)); err != nil {
			t.Errorf("%s: %v", m.key(), err)
		}
	}
	for _, want := range []string{
		"p.go table: rotate: {1: search} → nothing",
		"p.go table: 1: search → nothing",
		"p.go table: search → giveUp",
		"p.go f: a < b && !c → !(a < b && !c)",
		"p.go f: a < b && !c → (a < b) || (!c)",
		"p.go f: a < b && !c → a < b",
		"p.go f: a < b && !c → !c",
		"p.go f: < → <=",
		"p.go f: < → >=",
		"p.go f: !c → c",
		"p.go f: min → max",
		"p.go f: x = min(a, b) → nothing",
		"p.go f: call() → nothing",
		"p.go f: true → !(true)",
		"p.go f: err → nil",
		"p.go f: case a == b, c: return false, nil → nothing",
		"p.go f: , c → nothing",
		"p.go f: c → !(c)",
		"p.go f: c → !(c) (2)",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("no mutant %q among:\n%s", want, strings.Join(names, "\n"))
		}
	}
}

func TestOnlyWhatIsWantedIsChanged(t *testing.T) {
	mutants, err := mutantsOf("p.go", example, func(name string) bool { return name == "table" })
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		if !strings.HasPrefix(m.name, "table: ") {
			t.Errorf("%s was changed", m.key())
		}
	}
}
