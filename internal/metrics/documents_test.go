package metrics_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"panther-token-rotation/internal/metrics"
	"panther-token-rotation/internal/rotation"
)

// read returns the files that match, one after the other.
func read(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s matches no file (%v)", pattern, err)
	}
	var b strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

// TestEachKindThatPagesHasAnAlarm compares template and module with the table
// of kinds. The alarm's name is the function's and the kind's, so that a
// notification names the kind.
func TestEachKindThatPagesHasAnAlarm(t *testing.T) {
	template, module := read(t, "template.yaml"), read(t, "deploy/terraform/alarms.tf")
	inTemplate := names(template, `(?m)^      AlarmName: !Sub \$\{FunctionName\}-([A-Z]\w+)$`)
	inModule := names(module, `(?m)^    ([A-Z]\w+) += "[^"]+\."$`)
	for _, info := range rotation.Kinds {
		kind := string(info.Kind)
		pages := info.Severity == rotation.Page && !info.CheckOnly // the check has an alarm for all it finds
		for _, place := range []struct {
			name  string
			kinds []string
		}{{"template.yaml: a resource " + kind + "Alarm, which the dashboard shows", inTemplate}, {"deploy/terraform/alarms.tf: an entry " + kind + " in local.pages", inModule}} {
			if has := slices.Contains(place.kinds, kind); pages && !has {
				t.Errorf("%s pages, but its alarm is missing. Add to %s", kind, place.name)
			} else if !pages && has {
				t.Errorf("%s has the severity %s, but an alarm that pages. Remove from %s", kind, info.Severity, place.name)
			}
		}
		if !pages {
			continue
		}
		// NotStored counts every token that could not be stored, whatever the step failed with afterwards.
		metric := `MetricName: RotationsFailed\n      Dimensions: \[\{Name: FunctionName, Value: !Ref Function\}, \{Name: Kind, Value: ` + kind + `\}\]`
		if info.Kind == rotation.NotStored {
			metric = `MetricName: ` + metrics.TokensNotStored + `\n`
		}
		alarm := regexp.MustCompile(`(?s)\n  ` + kind + `Alarm:\n.*?\n\n`).FindString(template)
		for _, wanted := range []string{metric, `\$\{RunbookUrl\}#` + info.Anchor + `\n`, `\$\.kind = "` + kind + `"`} {
			if alarm != "" && !regexp.MustCompile(wanted).MatchString(alarm) {
				t.Errorf("template.yaml: %sAlarm has no match for %s", kind, wanted)
			}
		}
	}
	for _, kind := range slices.Concat(inTemplate, inModule) {
		if !slices.ContainsFunc(rotation.Kinds, func(info rotation.KindInfo) bool { return string(info.Kind) == kind }) {
			t.Errorf("there is an alarm for %s, which is no kind", kind)
		}
	}
}

// TestTheDeploymentUsesTheseMetrics ties the names of template and module to
// those of the code: an alarm on another name never goes off.
func TestTheDeploymentUsesTheseMetrics(t *testing.T) {
	all := []string{
		metrics.RotationsSucceeded, metrics.RotationsFailed, metrics.TokensNotStored, metrics.SealsFailed,
		metrics.PropagationTime, metrics.OutageTime, metrics.StandbysRefused, metrics.ProblemsFound, metrics.SecretsChecked,
		metrics.ChecksCompleted,
	}
	for _, file := range []string{"template.yaml", "deploy/terraform/*.tf", "deploy/docs/runbook.md"} {
		text := read(t, file)
		for _, metric := range all {
			if !strings.Contains(text, metric) {
				t.Errorf("%s does not name the metric %s", file, metric)
			}
		}
		namespaces := names(text, `(?:Namespace: (?:!Sub )?"?|namespace +[:=]+ "|--namespace |\{|\[")((?:[A-Z]\w+)?Panther\w+)\b`)
		if len(namespaces) == 0 && file != "deploy/docs/runbook.md" {
			t.Errorf("the pattern of this test finds no namespace in %s", file)
		}
		for _, namespace := range namespaces {
			if namespace != metrics.Namespace && !strings.HasPrefix(namespace, "PantherApi") {
				t.Errorf("%s has the namespace %s, the code %s", file, namespace, metrics.Namespace)
			}
		}
		for _, metric := range names(text, `(?s)Namespace: PantherTokenRotation\n +MetricName: (\w+)`) {
			if !slices.Contains(all, metric) {
				t.Errorf("%s has an alarm on %s, which the function does not emit", file, metric)
			}
		}
	}
}

// TestNotificationsLeadToSectionsOfTheRunbook compares the anchors that
// alarms and messages append to the runbook's address with its headings.
func TestNotificationsLeadToSectionsOfTheRunbook(t *testing.T) {
	sections := map[string]bool{}
	for _, heading := range names(read(t, "deploy/docs/runbook.md"), `(?m)^#+ (.+)$`) {
		sections[strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(strings.ToLower(heading))] = true
	}
	for _, file := range []string{"template.yaml", "deploy/terraform/alarms.tf"} {
		anchors := names(read(t, file), `(?:\$\{(?:RunbookUrl|var\.runbook_url)\}#|anchor += ")([a-z-]+)`)
		if len(anchors) < 6 {
			t.Errorf("%s: only %d anchors were found, so the pattern of this test is out of date", file, len(anchors))
		}
		for _, anchor := range anchors {
			if !sections[anchor] {
				t.Errorf("%s leads to #%s, which is no section of the runbook", file, anchor)
			}
		}
	}
}

func names(text, pattern string) (found []string) {
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}
