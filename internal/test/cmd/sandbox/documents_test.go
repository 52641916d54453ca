//go:build verify

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"panther-token-rotation/internal/test/sandbox"
)

const root = "../../../../"

// shim runs the real aws CLI and records what that said to each command. Version
// 1, which "make verify" installs, lacks "logs tail" and --cli-binary-format,
// whose meaning is its own default.
const shim = `#!/bin/bash
said=("$*")
args=()
while [ $# -gt 0 ]; do
  case $1 in
    --cli-binary-format) shift ;;
    *) args+=("$1") ;;
  esac
  shift
done
if [ "${args[0]} ${args[1]}" = "logs tail" ]; then
  tail=(logs filter-log-events --log-group-name)
  for (( i = 2; i < ${#args[@]}; i++ )); do
    case ${args[i]} in
      --since | --format) i=$((i + 1)) ;;
      --follow) ;;
      *) tail+=("${args[i]}") ;;
    esac
  done
  args=("${tail[@]}")
fi
"$REAL_AWS" "${args[@]}" >"$WORK/stdout" 2>"$WORK/stderr"
code=$?
cat "$WORK/stdout"
if [ "${args[1]}" = list-secrets ] && [ ! -s "$WORK/stdout" ]; then
  echo "lists no secret of the function: a false all-clear" >>"$WORK/stderr"
fi
printf 'aws %s\n  %s\n' "${said[0]}" "$(tr '\n' ' ' <"$WORK/stderr")" >>"$WORK/calls"
cat "$WORK/stderr" >&2
exit $code
`

// wrong is what a command line says that has rotted: the CLI or the shell does
// not accept it, or the service does not know a parameter.
var wrong = regexp.MustCompile(`(?i)usage:|Missing required parameter|Unknown parameter|Invalid type for|Unknown options|invalid choice|arguments are required` +
	`|Error parsing parameter|SerializationException|does not have|false all-clear|syntax error|command not found|unbound variable|jq: error|compile error` +
	`|unknown (flag|shorthand flag|command)|InvalidParameterException.*pattern`)

// ours are lines of the other programs that a script runs.
var ours = regexp.MustCompile(`(?i)^(bash|jq): |unknown (flag|shorthand flag|command)`)

// lacking are the services and operations that the sandbox does not have. What
// the CLI itself says of such a command counts all the same.
var lacking = regexp.MustCompile(`does not have (StartQuery|GetQueryResults|DeleteLogGroup)` +
	`|does not have the operation "(GetResourcePolicy|ReplicateSecretToRegions|RemoveRegionsFromReplication)"` +
	`|does not have the operation [\\]*"([\\]*"|[A-Za-z0-9_]+\.)`) // without a name, or with that of another service

// commands runs shell code where the sandbox is, and shows each line that rotted.
func commands(t *testing.T, box *sandbox.Sandbox, script string) (calls int) {
	t.Helper()
	realAWS, err := exec.LookPath("aws")
	if err != nil {
		t.Fatal("these tests need the aws CLI on PATH, as \"make verify\" installs it")
	}
	work := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("aws", shim)
	for _, other := range []string{"git", "sam", "terraform", "make", "sleep", "age", "age-keygen"} {
		write(other, "#!/bin/sh\n")
	}
	if _, err := os.Stat(root + "deploy/panther-token"); err == nil {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(work, "panther-token"), root+"deploy/panther-token")
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	write("value", "{}")
	shell := exec.CommandContext(t.Context(), "bash", "-c", script)
	shell.Dir = work
	shell.Env = []string{"PATH=" + work + ":" + os.Getenv("PATH"), "HOME=" + work, "WORK=" + work, "REAL_AWS=" + realAWS,
		"AWS_ENDPOINT_URL=" + box.SecretsManagerURL, "AWS_DEFAULT_REGION=" + box.Region, "AWS_MAX_ATTEMPTS=1",
		"AWS_ACCESS_KEY_ID=sandbox", "AWS_SECRET_ACCESS_KEY=sandbox", "AWS_PAGER="}
	said, _ := shell.CombinedOutput() // a command may fail, as long as it is understood
	recorded, _ := os.ReadFile(filepath.Join(work, "calls"))
	command := ""
	for line := range strings.Lines(string(recorded)) {
		if strings.HasPrefix(line, "aws ") {
			command = line
			calls++
		} else if wrong.MatchString(line) && !lacking.MatchString(line) {
			t.Errorf("%s%s", command, line)
		}
	}
	for line := range strings.Lines(string(said)) {
		if ours.MatchString(line) && wrong.MatchString(line) {
			t.Error(line)
		}
	}
	return calls
}

// rotated starts a sandbox with a secret that was rotated.
func rotated(t *testing.T) (box *sandbox.Sandbox, version string) {
	t.Helper()
	box, err := sandbox.Start(t.Context(), sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	value := `{"PANTHER_API_TOKEN":"` + box.Panther.NewToken("one") + `"}`
	client := box.Client()
	_, err = client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(sandbox.SecretName), SecretString: &value})
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{
		SecretId: aws.String(sandbox.SecretName), RotationLambdaARN: aws.String(box.Function.ARN()),
		RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: aws.Int64(30)},
	})
	if err == nil {
		err = box.SecretsManager.AwaitIdle(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return box, *out.VersionId
}

var (
	fenced = regexp.MustCompile("(?ms)^ *```(?:sh|console)\n(.*?)^ *```")
	prompt = regexp.MustCompile(`(?m)^\$ `)
)

// script is all fenced shell code of a document, with placeholders filled in.
func script(t *testing.T, box *sandbox.Sandbox, version, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
		code := block[1]
		if prompt.MatchString(code) {
			code = prompt.ReplaceAllString(code, "")
		}
		code = regexp.MustCompile(`(?m)^(\s*)(VERSION|LIVING)=…`).ReplaceAllString(code, "${1}${2}="+version)
		code = regexp.MustCompile(`(?m)^(\s*)LOG_GROUP=…`).ReplaceAllString(code, "${1}LOG_GROUP="+box.Function.LogGroup())
		code = regexp.MustCompile(`(?m)^(\s*)PANTHER_API_URL=\S+`).ReplaceAllString(code, "${1}PANTHER_API_URL="+box.PantherURL)
		code = strings.NewReplacer("LOG-GROUP", box.Function.LogGroup(), "<this repository>", "repository", "…", "0").Replace(code)
		check := exec.CommandContext(t.Context(), "bash", "-n")
		check.Stdin = strings.NewReader(code)
		if said, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: %s%s", path, said, code)
			continue
		}
		all.WriteString(code)
	}
	return all.String()
}

func TestEveryCommandOfTheDocumentsIsAccepted(t *testing.T) {
	box, version := rotated(t)
	for path, least := range map[string]int{"README.md": 3, "deploy/docs/runbook.md": 9} {
		t.Run(path, func(t *testing.T) {
			if calls := commands(t, box, script(t, box, version, root+path)); calls < least {
				t.Errorf("it ran %d aws commands", calls)
			}
		})
	}
}

// TestEveryCommandOfTheErrorsIsAccepted runs what messages say to run, from the
// texts in the source.
func TestEveryCommandOfTheErrorsIsAccepted(t *testing.T) {
	box, version := rotated(t)
	inText := regexp.MustCompile(`aws (secretsmanager|lambda|logs|cloudtrail) [a-z-]+( (--[a-z-]+|[^\s"` + "`" + `;,]+))*`)
	fill := strings.NewReplacer("<secret>", sandbox.SecretName, "<function>", box.Function.ARN(), "<version>", version, "%s", sandbox.SecretName, "…", sandbox.SecretName)
	var all strings.Builder
	for _, dir := range []string{"internal", "function"} {
		err := filepath.WalkDir(root+dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && entry.Name() == "test" {
				return fs.SkipDir
			}
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, command := range inText.FindAllString(string(text), -1) {
				all.WriteString(strings.TrimSuffix(fill.Replace(command), ".") + "\n")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if calls := commands(t, box, all.String()); calls < 8 {
		t.Errorf("it ran %d commands:\n%s", calls, &all)
	}
}

func TestARottenCommandIsNoticed(t *testing.T) {
	for _, said := range []string{
		"Unknown options: --secret", "aws: error: argument command: Invalid choice, valid choices are:", "Parameter validation failed: Unknown parameter in input: \"Secret\"",
		"bash: line 1: secret_valeu: command not found", "The sandbox's CloudWatch Logs does not have PutThing",
	} {
		if !wrong.MatchString(said) || lacking.MatchString(said) {
			t.Errorf("%q passes", said)
		}
	}
}
