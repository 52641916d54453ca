package main

import (
	"os"
	"regexp"
	"slices"
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

		if s.name == "CHECK_SECRETS" { // from the parameters that name secrets, so that there is one list
			mustMatch(t, "template.yaml", template, regexp.QuoteMeta(`CHECK_SECRETS: !If [ChecksDaily, !Join [",", [!Ref SecretId, !Join [",", !Ref FurtherSecretArns]]], ""]`))
			mustMatch(t, "deploy/terraform/function.tf", module, `CHECK_SECRETS = join\(",", local\.watched_secrets\)`)
			continue
		}
		parameter, variable := camelCase(s.name), strings.ToLower(s.name)
		mustMatch(t, "template.yaml", template, s.name+`: !Ref `+parameter)
		mustMatch(t, "deploy/terraform/function.tf", module, s.name+`\s+= var\.`+variable)
		if s.name != "PANTHER_API_URL" {
			mustMatch(t, "template.yaml", template, `(?m)^  `+parameter+`:\n    Type: String\n    Default: "?`+regexp.QuoteMeta(s.fallback)+`"?$`)
			mustMatch(t, "deploy/terraform/variables.tf", variables, `(?s)variable "`+variable+`" \{[^}]*?default\s+= "`+regexp.QuoteMeta(s.fallback)+`"`)
		}
	}
	for _, name := range regexp.MustCompile(`(?m)^          ([A-Z_]+): `).FindAllStringSubmatch(template, -1) {
		if !isSetting(name[1]) && !slices.Contains(furtherVariables, name[1]) {
			t.Errorf("template.yaml sets %s, which the function does not read", name[1])
		}
	}
}

// furtherVariables are the environment variables that Go and the AWS SDKs read
// and that a deployment may set. Others could redirect tokens, or log them.
var furtherVariables = []string{
	"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "AWS_USE_FIPS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER",
}

func TestFurtherVariablesCanBeDeployed(t *testing.T) {
	template, variables := mustRead(t, "../template.yaml"), mustRead(t, "../deploy/terraform/variables.tf")
	hardening := mustRead(t, "../deploy/docs/hardening.md")
	for _, name := range furtherVariables {
		parameter := camelCase(name)
		mustMatch(t, "template.yaml", template, `(?m)^  `+parameter+`:\n    Type: String\n    Default: ""$`)
		mustMatch(t, "template.yaml", template, name+`: !If\s(\s*- |\[)Has`+parameter+`\b`)
		mustMatch(t, "deploy/docs/hardening.md", hardening, "`"+parameter+"`")
	}
	list := regexp.MustCompile(`(?s)setsubtract\(keys\(var\.environment\), \[(.*?)\]`).FindStringSubmatch(variables)
	if list == nil {
		t.Fatal("deploy/terraform/variables.tf has no list of further variables")
	}
	var allowed []string
	for _, match := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(list[1], -1) {
		allowed = append(allowed, match[1])
	}
	if !slices.Equal(allowed, furtherVariables) {
		t.Errorf("deploy/terraform/variables.tf allows %v, want %v", allowed, furtherVariables)
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
