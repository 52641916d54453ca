package rotation

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents returns every file that names events or kinds, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"README.md", "template.yaml", "deploy/docs/*.md", "deploy/terraform/*.md", "deploy/terraform/*.tf", ".ci/verify/*.py"} {
		paths, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s matches no file (%v)", pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[path] = string(text)
		}
	}
	return texts
}

func TestDocumentsFilterOnEventsThatExist(t *testing.T) {
	filter := regexp.MustCompile(`\bevent\b[\\"']*\s*[=:]+\s*[\\"']+([a-z_]+)[\\"']`)
	byMessage := regexp.MustCompile(`\$\.message|filter message|"message":"`)
	found := 0
	for path, text := range documents(t) {
		for _, match := range filter.FindAllStringSubmatch(text, -1) {
			found++
			if _, ok := events[Event(match[1])]; !ok {
				t.Errorf("%s names the event %s, which does not exist", path, match[1])
			}
		}
		if match := byMessage.FindString(text); match != "" {
			t.Errorf("%s filters on a message (%s), which may be reworded: filter on the event", path, match)
		}
	}
	if found < 6 {
		t.Errorf("only %d filters were found, so the pattern of this test is out of date", found)
	}
}

func TestEveryKindHasItsPlaceInTheRunbook(t *testing.T) {
	texts := documents(t)
	runbook := texts[filepath.Join("..", "..", "deploy", "docs", "runbook.md")]
	known := map[string]bool{}
	for _, info := range Kinds {
		known[string(info.Kind)] = true
		if !strings.Contains(runbook, "\n### "+string(info.Kind)+"\n") || info.Anchor != strings.ToLower(string(info.Kind)) {
			t.Errorf("the runbook has no section %s with the anchor #%s", info.Kind, info.Anchor)
		}
		if !strings.Contains(runbook, "| [`"+string(info.Kind)+"`](#"+info.Anchor+") |") {
			t.Errorf("the runbook's table of kinds has no row for %s", info.Kind)
		}
		if info.Severity != Page && info.Severity != Ticket && info.Severity != None {
			t.Errorf("%s has the severity %q", info.Kind, info.Severity)
		}
		if strings.Count(info.Meaning, ".") != 1 || !strings.HasSuffix(info.Meaning, ".") {
			t.Errorf("the meaning of %s is not one sentence: %s", info.Kind, info.Meaning)
		}
	}
	for _, section := range regexp.MustCompile(`(?m)^### ([A-Z][a-z]+[A-Z]\w+)$`).FindAllStringSubmatch(runbook, -1) {
		if !known[section[1]] {
			t.Errorf("the runbook has a section on %s, which is no kind", section[1])
		}
	}
}

// TestEveryKindIsInTheTable reads the declarations, so that a new kind cannot
// be left out of the table.
func TestEveryKindIsInTheTable(t *testing.T) {
	assertDeclared(t, "kinds.go", `(?m)^\t\w+\s+Kind = "(\w+)"$`, len(Kinds), func(name string) bool {
		for _, info := range Kinds {
			if info.Kind == Kind(name) {
				return true
			}
		}
		return false
	})
}

func TestEveryEventHasALine(t *testing.T) {
	assertDeclared(t, "events.go", `(?m)^\t\w+\s+Event = "(\w+)"$`, len(events), func(name string) bool {
		return events[Event(name)].message != ""
	})
}

func assertDeclared(t *testing.T, file, declaration string, want int, listed func(string) bool) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(declaration).FindAllStringSubmatch(string(source), -1)
	if len(declared) != want {
		t.Errorf("%s declares %d constants, the table has %d rows", file, len(declared), want)
	}
	for _, match := range declared {
		if !listed(match[1]) {
			t.Errorf("%s is declared but not in the table", match[1])
		}
	}
}
