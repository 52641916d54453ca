package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSettingsAreDocumentedAndDeployed compares the table of settings with the
// README's, the SAM template and the Terraform module.
func TestSettingsAreDocumentedAndDeployed(t *testing.T) {
	readme, template := mustRead(t, "../README.md"), mustRead(t, "../template.yaml")
	module, variables := mustRead(t, "../deploy/terraform/function.tf"), mustRead(t, "../deploy/terraform/variables.tf")
	for _, s := range settings {
		shown := "none"
		switch {
		case s.name == "PANTHER_API_URL":
			shown = "required"
		case s.fallback != "":
			shown = "`" + s.fallback + "`"
		}
		mustMatch(t, "README.md", readme, "(?m)^"+regexp.QuoteMeta("| `"+s.name+"` | "+s.meaning+" | "+shown+" |")+"$")

		parameter, variable := camelCase(s.name), strings.ToLower(s.name)
		mustMatch(t, "template.yaml", template, s.name+`: !Ref `+parameter)
		mustMatch(t, "deploy/terraform/function.tf", module, s.name+`\s+= var\.`+variable)
		if s.name != "PANTHER_API_URL" {
			mustMatch(t, "template.yaml", template, `(?m)^  `+parameter+`:\n    Type: String\n    Default: "?`+regexp.QuoteMeta(s.fallback)+`"?$`)
			mustMatch(t, "deploy/terraform/variables.tf", variables, `(?s)variable "`+variable+`" \{[^}]*?default\s+= "`+regexp.QuoteMeta(s.fallback)+`"`)
		}
	}
	for _, name := range regexp.MustCompile(`(?m)^          ([A-Z_]+): `).FindAllStringSubmatch(template, -1) {
		if !isSetting(name[1]) {
			t.Errorf("template.yaml sets %s, which the function does not read", name[1])
		}
	}
}

func isSetting(name string) bool {
	for _, s := range settings {
		if s.name == name {
			return true
		}
	}
	return false
}

// camelCase turns PANTHER_API_URL into PantherApiUrl, as parameters are named.
func camelCase(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		b.WriteString(part[:1] + strings.ToLower(part[1:]))
	}
	return b.String()
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mustMatch(t *testing.T, where, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile(pattern).MatchString(text) {
		t.Errorf("%s has no match for %s", where, pattern)
	}
}
