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

// TestDeploymentsRefuseWhatTheFunctionRefuses: a value that the function would
// end at is refused before anything is deployed.
func TestDeploymentsRefuseWhatTheFunctionRefuses(t *testing.T) {
	template, variables := mustRead(t, "../template.yaml"), mustRead(t, "../deploy/terraform/variables.tf")
	for _, tc := range []struct{ setting, parameter, wrong, right string }{
		{"PANTHER_API_URL", "PantherApiUrl", "Zk3pQ8vR1xW6.yT9bN4mC7hJ2", "acme.runpanther.net"},
		{"PANTHER_API_URL", "PantherApiUrl", strings.Repeat("a", 64) + ".example", "https://abc123.execute-api.eu-west-1.amazonaws.com/v1/public/graphql"},
		{"PANTHER_API_URL", "PantherApiUrl", "acme_x.runpanther.net", "https://192.0.2.7:8443"},
		{"PANTHER_API_URL", "PantherApiUrl", "token", "api.panther.xn--p1ai"},
		{"CHECK_SECRETS", "SecretId", "arn:aws:iam::123456789012:role/rotation", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/panther-AbCdEf"},
		{"CHECK_SECRETS", "SecretId", "--acme", "acme/panther"},
		{"CHECK_SECRETS", "SecretId", "acme:panther", "acme_panther.1"},
		{"SECRET_TOKEN_KEY", "SecretTokenKey", "TOKEN ", "TOKEN"},
		{"SECRET_TOKEN_KEY", "SecretTokenKey", " TOKEN", "a token"},
		{"SECRET_STANDBY_KEY", "SecretStandbyKey", "STANDBY ", "T"},
		{"SECRET_STANDBY_KEY", "SecretStandbyKey", " ", ""},
	} {
		if takes(t, tc.setting, tc.wrong) || !takes(t, tc.setting, tc.right) {
			t.Errorf("%s: %q is taken, or %q is not", tc.setting, tc.wrong, tc.right)
		}
		patterns := map[string]string{"template.yaml": find(t, template, `(?s)\n  `+tc.parameter+`:\n.*?AllowedPattern: (.*?)\n`)}
		if variable := snakeCase(tc.parameter); !strings.HasSuffix(variable, "_key") { // terraform test has these
			patterns["variables.tf"] = strings.ReplaceAll(find(t, variables, `(?s)variable "`+variable+`" .*?regex\("(.*?)", var\.`), `\\`, `\`)
		}
		for where, pattern := range patterns {
			allowed := regexp.MustCompile(pattern)
			if allowed.MatchString(tc.wrong) || !allowed.MatchString(tc.right) {
				t.Errorf("%s, %s: %q is allowed, or %q is not, by %s", where, tc.parameter, tc.wrong, tc.right, pattern)
			}
		}
	}
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("no match for %s", pattern)
	}
	return match[1]
}

// snakeCase turns PantherApiUrl into panther_api_url.
func snakeCase(name string) string {
	return strings.ToLower(regexp.MustCompile(`(.)([A-Z])`).ReplaceAllString(name, "${1}_$2"))
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
