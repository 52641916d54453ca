//go:build verify

package drill

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"panther-token-rotation/internal/test/sandbox"
)

const (
	rotate = `aws secretsmanager rotate-secret --secret-id "$SECRET" || true # it says that the rotation will be reattempted`
	// put builds the next value with jq, since a token must not be an argument.
	put = `aws secretsmanager get-secret-value --secret-id "$SECRET" --query SecretString --output text |
  jq --rawfile new token1 --rawfile other token2 "$CHANGE" > value
aws secretsmanager put-secret-value --secret-id "$SECRET" --secret-string file://value && rm value`
)

// solutions are the commands for each drill, in a directory that has the age key
// and two new tokens of Panther's.
var solutions = map[string]string{
	"not-stored": rotate,
	"not-stored-dead": `aws logs filter-log-events --log-group-name "$LOG_GROUP" --filter-pattern '{ $.event = "value_sealed" }' --output json |
  jq '[.events[].message | fromjson] | last' > sealed.json
jq -r .restore sealed.json > restore.sh
bash -euo pipefail restore.sh`,
	"token-lost":       `CHANGE='.PANTHER_API_TOKEN = $new'` + "\n" + put,
	"standby-lost":     `CHANGE='.PANTHER_API_TOKEN_STANDBY = $new'` + "\n" + put,
	"not-yet-working":  rotate,
	"stuck-awspending": rotate,
	"replaced-by-hand": `VERSION=$(aws secretsmanager list-secret-version-ids --secret-id "$SECRET" --output json |
  jq -r '.Versions[] | select(.VersionStages | index("AWSPENDING")) | .VersionId')
aws secretsmanager update-secret-version-stage --secret-id "$SECRET" --version-stage AWSPENDING --remove-from-version-id "$VERSION"`,
	"leaked-token": `CHANGE='.PANTHER_API_TOKEN = $new | .PANTHER_API_TOKEN_STANDBY = $other'` + "\n" + put,
}

// TestEachDrillIsSolvedWithTheAWSCLI runs the commands with the aws CLI and the
// age CLI, and waits until the secret is healthy.
func TestEachDrillIsSolvedWithTheAWSCLI(t *testing.T) {
	bin := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", "filippo.io/age/cmd/age@v1.3.2")
	install.Dir, install.Env = bin, append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	if said, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, d := range All() {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := play(t, d, dir)
			for _, name := range []string{"token1", "token2"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(s.box.Panther.NewToken(name)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			solve := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", solutions[d.Name])
			solve.Dir = dir
			solve.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir, "SECRET=" + sandbox.SecretName,
				"LOG_GROUP=" + s.box.Function.LogGroup(), "AWS_ENDPOINT_URL=" + s.box.SecretsManagerURL, "AWS_DEFAULT_REGION=" + s.box.Region,
				"AWS_ACCESS_KEY_ID=sandbox", "AWS_SECRET_ACCESS_KEY=sandbox", "AWS_PAGER="}
			if said, err := solve.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			for _, token := range s.leaked { // in Panther's console
				s.box.Panther.Revoke(token)
			}
			for giveUp := time.Now().Add(time.Minute); len(s.problems(t)) > 0; time.Sleep(100 * time.Millisecond) {
				if time.Now().After(giveUp) {
					t.Fatalf("not healthy: %s", strings.Join(s.problems(t), "; "))
				}
			}
		})
	}
}
