package version

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// metadata is what sam publish and the Serverless Application Repository read of
// the template, by key.
func metadata(t *testing.T) map[string]string {
	t.Helper()
	template, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(template), "\n  AWS::ServerlessRepo::Application:\n")
	section, _, _ := strings.Cut(rest, "\n  AWS::")
	found := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^    (\w+): (?:>-\n {6})?(.+)$`).FindAllStringSubmatch(section, -1) {
		found[line[1]] = line[2]
	}
	return found
}

func TestTheTemplateHasThisVersion(t *testing.T) {
	if got := metadata(t)["SemanticVersion"]; got != Number {
		t.Errorf("SemanticVersion in template.yaml is %q, and Number is %q", got, Number)
	}
}

// TestTheTemplateCanBePublished: a release adds the two addresses of the
// repository, HomePageUrl and SourceCodeUrl, and make verify checks them.
func TestTheTemplateCanBePublished(t *testing.T) {
	got := metadata(t)
	for _, key := range []string{"Name", "Description", "Author", "SpdxLicenseId", "LicenseUrl", "ReadmeUrl", "Labels", "SemanticVersion"} {
		if got[key] == "" {
			t.Errorf("AWS::ServerlessRepo::Application in template.yaml has no %s", key)
		}
	}
	for _, key := range []string{"LicenseUrl", "ReadmeUrl"} {
		if _, err := os.Stat("../../" + got[key]); err != nil {
			t.Errorf("%s in template.yaml: %v", key, err)
		}
	}
	license, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	if got["SpdxLicenseId"] != "Apache-2.0" || !strings.Contains(string(license), "Apache License") {
		t.Errorf("SpdxLicenseId is %q, and LICENSE begins with %.60q", got["SpdxLicenseId"], license)
	}
}
