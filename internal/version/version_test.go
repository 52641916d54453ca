package version

import (
	"os"
	"strings"
	"testing"
)

// TestTheTemplateHasThisVersion, which the Serverless Application Repository
// reads.
func TestTheTemplateHasThisVersion(t *testing.T) {
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := "    SemanticVersion: " + Number + "\n"; !strings.Contains(string(template), want) {
		t.Errorf("template.yaml has no line %q", want)
	}
}
