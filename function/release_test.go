package main

import (
	"regexp"
	"strings"
	"testing"
)

// TestReleasesUseAPatchedGo checks that go.mod names the patch release of Go
// that is the floor, that every workflow takes the newest one, and that
// nothing is published before govulncheck passed.
func TestReleasesUseAPatchedGo(t *testing.T) {
	mustMatch(t, "go.mod", mustRead(t, "../go.mod"), `(?m)^toolchain go1\.\d+\.[1-9]\d*$`)
	for _, name := range []string{"ci", "release", "weekly"} {
		path := "../.github/workflows/" + name + ".yml"
		workflow := mustRead(t, path)
		asked := strings.Count(workflow, "go-version-file: go.mod\n")
		newest := len(regexp.MustCompile(`go-version-file: go\.mod\n\s+check-latest: true`).FindAllString(workflow, -1))
		if asked == 0 || newest != asked {
			t.Errorf("%s asks for Go %d times, and for its newest patch release %d times", path, asked, newest)
		}
	}
	release := mustRead(t, "../.github/workflows/release.yml")
	mustMatch(t, "release.yml", release, `(?s)\n  vulnerabilities:\n.*govulncheck@v[0-9.]+ \./\.\.\.`)
	mustMatch(t, "release.yml", release, `(?s)\n  publish:\n    needs: \[[^\]]*\bvulnerabilities\b`)
}
