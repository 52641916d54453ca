package metrics_test

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"panther-token-rotation/internal/metrics"
	"panther-token-rotation/internal/rotation"
)

const arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:panther-AbCdEf"

// failure has the dimension sets of a failed step.
var failure = [][]string{{"FunctionName"}, {"FunctionName", "Severity"}, {"FunctionName", "Kind"}, {"FunctionName", "Step", "Kind"}}

// cases has every event that package rotation measures, with the metrics and
// the members next to them that operators' alarms and queries rely on.
var cases = map[string]struct {
	measured   rotation.Measurement
	metrics    map[string]float64
	dimensions [][]string
	properties map[string]string
}{
	"rotated": {
		rotation.Measurement{Event: rotation.Rotated, SecretARN: arn, Step: rotation.FinishSecret, Duration: 41*time.Second + 1500*time.Microsecond},
		map[string]float64{"RotationsSucceeded": 1, "OutageTime": 41001.5},
		[][]string{{"FunctionName"}},
		map[string]string{"FunctionName": "rotator", "SecretArn": arn, "Step": "finishSecret", "level": "INFO"},
	},
	"rotated by another process": {
		rotation.Measurement{Event: rotation.Rotated, SecretARN: arn, Step: rotation.FinishSecret},
		map[string]float64{"RotationsSucceeded": 1},
		[][]string{{"FunctionName"}},
		map[string]string{"FunctionName": "rotator", "SecretArn": arn, "Step": "finishSecret", "level": "INFO"},
	},
	"failed": {
		rotation.Measurement{Event: rotation.Failed, SecretARN: arn, Step: rotation.CreateSecret, Kind: rotation.TokenLost},
		map[string]float64{"RotationsFailed": 1},
		failure,
		map[string]string{"FunctionName": "rotator", "SecretArn": arn, "Step": "createSecret", "Kind": "TokenLost", "Severity": "page", "level": "ERROR"},
	},
	"propagated": {
		rotation.Measurement{Event: rotation.Propagated, SecretARN: arn, Step: rotation.TestSecret, Duration: 30 * time.Second},
		map[string]float64{"PropagationTime": 30000},
		[][]string{{"FunctionName"}},
		map[string]string{"FunctionName": "rotator", "SecretArn": arn, "Step": "testSecret", "level": "INFO"},
	},
	"propagated at once": {
		rotation.Measurement{Event: rotation.Propagated, SecretARN: arn, Step: rotation.TestSecret},
		map[string]float64{"PropagationTime": 0},
		[][]string{{"FunctionName"}},
		map[string]string{"FunctionName": "rotator", "SecretArn": arn, "Step": "testSecret", "level": "INFO"},
	},
	"unstored": {
		rotation.Measurement{Event: rotation.Unstored, SecretARN: arn, Step: rotation.CreateSecret},
		map[string]float64{"TokensNotStored": 1},
		[][]string{{"FunctionName"}},
		map[string]string{"FunctionName": "rotator", "SecretArn": arn, "Step": "createSecret", "level": "ERROR"},
	},
	"not sealed": {
		rotation.Measurement{Event: rotation.SealFailed, SecretARN: arn, Step: rotation.CreateSecret},
		map[string]float64{"SealsFailed": 1},
		[][]string{{"FunctionName"}},
		map[string]string{"FunctionName": "rotator", "SecretArn": arn, "Step": "createSecret", "level": "ERROR"},
	},
	"the standby is dead": {
		rotation.Measurement{Event: rotation.StandbyDead, SecretARN: arn, Step: rotation.TestSecret},
		map[string]float64{"StandbysRefused": 1},
		[][]string{{"FunctionName"}},
		map[string]string{"FunctionName": "rotator", "SecretArn": arn, "Step": "testSecret", "level": "ERROR"},
	},
	"a problem of the daily check": {
		rotation.Measurement{Event: rotation.ProblemFound, SecretARN: "acme/panther", Kind: rotation.RotationDisabled},
		map[string]float64{"ProblemsFound": 1},
		[][]string{{"FunctionName"}, {"FunctionName", "Severity"}, {"FunctionName", "Secret", "Kind"}},
		map[string]string{"FunctionName": "rotator", "SecretArn": "acme/panther", "Secret": "acme/panther", "Step": "unknown", "Kind": "RotationDisabled", "Severity": "ticket", "level": "ERROR"},
	},
	"a heartbeat": {
		rotation.Measurement{Event: rotation.Checked, SecretARN: "acme/panther"},
		map[string]float64{"SecretsChecked": 1},
		[][]string{{"FunctionName"}, {"FunctionName", "Secret"}},
		map[string]string{"FunctionName": "rotator", "SecretArn": "acme/panther", "Secret": "acme/panther", "Step": "unknown", "level": "ERROR"},
	},
	"the heartbeat of all": {
		rotation.Measurement{Event: rotation.AllChecked},
		map[string]float64{"ChecksCompleted": 1},
		[][]string{{"FunctionName"}},
		map[string]string{"FunctionName": "rotator", "SecretArn": "", "Step": "unknown", "level": "ERROR"},
	},
	"failed with a kind that is not in the table": {
		rotation.Measurement{Event: rotation.Failed, SecretARN: arn, Step: rotation.CreateSecret, Kind: "New"},
		map[string]float64{"RotationsFailed": 1},
		failure,
		map[string]string{"FunctionName": "rotator", "SecretArn": arn, "Step": "createSecret", "Kind": "New", "Severity": "page", "level": "ERROR"},
	},
	"a step that there is not": {
		rotation.Measurement{Event: rotation.Failed, SecretARN: "s", Step: rotation.Step(strings.Repeat("é\n", 2000)), Kind: rotation.BadEvent},
		map[string]float64{"RotationsFailed": 1},
		failure,
		map[string]string{"FunctionName": "rotator", "SecretArn": "s", "Step": "unknown", "Kind": "BadEvent", "Severity": "none", "level": "ERROR"},
	},
	"no step": {
		rotation.Measurement{Event: rotation.Failed, SecretARN: "", Kind: rotation.BadEvent},
		map[string]float64{"RotationsFailed": 1},
		failure,
		map[string]string{"FunctionName": "rotator", "SecretArn": "", "Step": "unknown", "Kind": "BadEvent", "Severity": "none", "level": "ERROR"},
	},
}

func TestEveryEventBecomesItsMetrics(t *testing.T) {
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			before := time.Now().UnixMilli()
			metrics.New(&out, "rotator").Measure(tc.measured)
			after := time.Now().UnixMilli()

			line, ok := strings.CutSuffix(out.String(), "\n")
			if !ok || strings.Contains(line, "\n") {
				t.Fatalf("not one line: %q", out.String())
			}
			extracted := checkEMF(t, []byte(line))
			if extracted.timestamp < before || extracted.timestamp > after {
				t.Errorf("the timestamp %d is not the time in milliseconds", extracted.timestamp)
			}
			if extracted.namespace != metrics.Namespace {
				t.Errorf("the namespace is %s", extracted.namespace)
			}
			if !slices.EqualFunc(extracted.dimensions, tc.dimensions, slices.Equal) {
				t.Errorf("the dimensions are %v, want %v", extracted.dimensions, tc.dimensions)
			}

			var root map[string]any
			if err := json.Unmarshal([]byte(line), &root); err != nil {
				t.Fatal(err)
			}
			delete(root, "_aws")
			// Lambda takes a line without a valid timestamp for INFO
			// (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html).
			if at, err := time.Parse(time.RFC3339Nano, root["timestamp"].(string)); err != nil || at.UnixMilli() != extracted.timestamp {
				t.Errorf("the timestamp is %v (%v)", root["timestamp"], err)
			}
			delete(root, "timestamp")
			for name, want := range tc.metrics {
				if root[name] != want {
					t.Errorf("%s is %v, want %v", name, root[name], want)
				}
				if !slices.Contains(extracted.metrics, name) {
					t.Errorf("CloudWatch is not told of %s", name)
				}
				delete(root, name)
			}
			if len(extracted.metrics) != len(tc.metrics) {
				t.Errorf("CloudWatch extracts %v", extracted.metrics)
			}
			for name, want := range tc.properties {
				if root[name] != want {
					t.Errorf("%s is %v, want %s", name, root[name], want)
				}
				delete(root, name)
			}
			if len(root) > 0 {
				t.Errorf("there is more in the line: %v", root)
			}
		})
	}
}

func TestLinesOfConcurrentStepsStayWhole(t *testing.T) {
	out := &unlocked{}
	meter := metrics.New(out, "rotator")
	var all sync.WaitGroup
	for range 50 {
		for _, tc := range cases {
			all.Go(func() { meter.Measure(tc.measured) })
		}
	}
	all.Wait()
	lines := bytes.Split(bytes.TrimSuffix(out.written.Bytes(), []byte("\n")), []byte("\n"))
	if len(lines) != 50*len(cases) || out.writes != len(lines) {
		t.Fatalf("%d lines in %d writes, want %d", len(lines), out.writes, 50*len(cases))
	}
	for _, line := range lines {
		checkEMF(t, line)
	}
}

// unlocked is a log without a lock, on which the race detector sees two
// writers at a time.
type unlocked struct {
	written bytes.Buffer
	writes  int
}

func (u *unlocked) Write(p []byte) (int, error) {
	u.writes++
	return u.written.Write(p)
}

type emf struct {
	timestamp  int64
	namespace  string
	dimensions [][]string
	metrics    []string
}

var units = strings.Fields(`Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits
	Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second
	Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None`)

// checkEMF holds a log line against the rules of
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
// and, for dimension values and numbers, of
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html.
// Objects of the format have no members but its own.
func checkEMF(t *testing.T, line []byte) emf {
	t.Helper()
	var root map[string]json.RawMessage
	if err := json.Unmarshal(line, &root); err != nil {
		t.Fatalf("the root is not an object: %v", err)
	}
	var metadata struct {
		Timestamp         *int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct {
				Name              string
				Unit              string
				StorageResolution int
			}
		}
	}
	dec := json.NewDecoder(bytes.NewReader(root["_aws"]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&metadata); err != nil {
		t.Fatalf("_aws: %v", err)
	}
	if metadata.Timestamp == nil || len(metadata.CloudWatchMetrics) != 1 {
		t.Fatalf("_aws lacks a member: %s", root["_aws"])
	}
	for _, member := range []string{"Timestamp", "CloudWatchMetrics", "Namespace", "Dimensions", "Metrics", "Name", "Unit"} {
		if !bytes.Contains(root["_aws"], []byte(`"`+member+`":`)) {
			t.Errorf("no member %s; the format minds upper and lower case", member)
		}
	}
	directive := metadata.CloudWatchMetrics[0]

	if n := len(directive.Namespace); n < 1 || n > 256 {
		t.Errorf("a namespace of %d characters", n)
	}
	if directive.Dimensions == nil {
		t.Error("no Dimensions")
	}
	for _, set := range directive.Dimensions {
		if len(set) > 30 {
			t.Errorf("%d dimensions in a set", len(set))
		}
		for _, name := range set {
			var value string
			if err := json.Unmarshal(root[name], &value); err != nil {
				t.Errorf("dimension %s is no string: %v", name, err)
			}
			if strings.TrimSpace(value) == "" || len(value) > 1024 || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("dimension %s has a value that CloudWatch does not take: %.40q", name, value)
			}
		}
	}
	if n := len(directive.Metrics); n < 1 || n > 100 {
		t.Errorf("%d metrics", n)
	}
	result := emf{timestamp: *metadata.Timestamp, namespace: directive.Namespace, dimensions: directive.Dimensions}
	for _, m := range directive.Metrics {
		var value *float64
		if err := json.Unmarshal(root[m.Name], &value); err != nil || value == nil || math.Abs(*value) > math.Pow(2, 360) {
			t.Errorf("metric %q is no number: %s", m.Name, root[m.Name])
		}
		if n := len(m.Name); n < 1 || n > 1024 {
			t.Errorf("a metric name of %d characters", n)
		}
		if !slices.Contains(units, m.Unit) {
			t.Errorf("unit %s", m.Unit)
		}
		if m.StorageResolution != 0 && m.StorageResolution != 1 && m.StorageResolution != 60 {
			t.Errorf("storage resolution %d", m.StorageResolution)
		}
		result.metrics = append(result.metrics, m.Name)
	}
	return result
}
