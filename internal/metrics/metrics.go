// Package metrics writes measurements to the log in CloudWatch's embedded
// metric format, from which CloudWatch makes metrics without a call to its API
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
package metrics

import (
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"time"

	"panther-token-rotation/internal/rotation"
)

// Namespace is the CloudWatch namespace of the metrics.
const Namespace = "PantherTokenRotation"

// The metrics. Times are in milliseconds, the others count.
const (
	RotationsSucceeded = "RotationsSucceeded" // finishSecret moved AWSCURRENT
	RotationsFailed    = "RotationsFailed"    // steps that failed, by Severity, Kind and Step
	TokensNotStored    = "TokensNotStored"    // a new token could not be stored: act at once
	SealsFailed        = "SealsFailed"        // a new value was stored without a sealed copy in the log
	PropagationTime    = "PropagationTime"    // how long testSecret waited for the new token to work
	OutageTime         = "OutageTime"         // from Panther's switch to AWSCURRENT on the new token
	StandbysRefused    = "StandbysRefused"    // Panther refuses the token that became the standby
	ProblemsFound      = "ProblemsFound"      // by the daily check, by Severity, and by Secret and Kind
	SecretsChecked     = "SecretsChecked"     // the daily check looked at a secret, by Secret
	ChecksCompleted    = "ChecksCompleted"    // the daily check looked at every secret: the heartbeat
)

// Meter writes measurements, a line each.
type Meter struct {
	mu       sync.Mutex
	out      io.Writer
	function string
}

var _ rotation.Meter = (*Meter)(nil)

// New makes a Meter for the function of that name.
func New(out io.Writer, function string) *Meter { return &Meter{out: out, function: function} }

type metric struct {
	Name string
	Unit string
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []metric
}

type metadata struct {
	Timestamp         int64 // milliseconds since 1970
	CloudWatchMetrics []directive
}

// Measure writes one measurement. Every metric has the dimension FunctionName,
// and failures also FunctionName with Severity, with Kind, and with Step and
// Kind: alarms need exact dimensions. The secret's ARN is a property for log
// queries. As a dimension it would add billed metrics for each secret, so that
// only the daily check's metrics have it, of the secrets that it names.
//
// Lambda drops lines below its application log level, and takes a line without
// level and timestamp for INFO. So measurements of failures are at ERROR, which
// no log level drops.
func (m *Meter) Measure(measured rotation.Measurement) {
	now := time.Now()
	line := map[string]any{
		"level":        slog.LevelInfo.String(),
		"timestamp":    now.UTC().Format(time.RFC3339Nano),
		"FunctionName": m.function,
		"SecretArn":    measured.SecretARN,
		"Step":         stepName(measured.Step),
	}
	d := directive{Namespace: Namespace, Dimensions: [][]string{{"FunctionName"}}}
	count := func(name string) {
		line[name] = 1
		d.Metrics = append(d.Metrics, metric{name, "Count"})
	}
	duration := func(name string) {
		line[name] = float64(measured.Duration.Microseconds()) / 1000
		d.Metrics = append(d.Metrics, metric{name, "Milliseconds"})
	}
	switch measured.Event {
	case rotation.Rotated:
		count(RotationsSucceeded)
		if measured.Duration > 0 {
			duration(OutageTime)
		}
	case rotation.Failed:
		count(RotationsFailed)
		line["level"] = slog.LevelError.String()
		line["Kind"] = string(measured.Kind)
		line["Severity"] = string(severity(measured.Kind))
		d.Dimensions = append(d.Dimensions,
			[]string{"FunctionName", "Severity"}, []string{"FunctionName", "Kind"}, []string{"FunctionName", "Step", "Kind"})
	case rotation.Propagated:
		duration(PropagationTime)
	case rotation.Unstored:
		count(TokensNotStored)
		line["level"] = slog.LevelError.String()
	case rotation.SealFailed:
		count(SealsFailed)
		line["level"] = slog.LevelError.String()
	case rotation.StandbyDead:
		count(StandbysRefused)
		line["level"] = slog.LevelError.String()
	case rotation.Checked:
		count(SecretsChecked)
		line["level"] = slog.LevelError.String() // no log level may drop a heartbeat
		line["Secret"] = measured.SecretARN
		d.Dimensions = append(d.Dimensions, []string{"FunctionName", "Secret"})
	case rotation.AllChecked:
		count(ChecksCompleted)
		line["level"] = slog.LevelError.String()
	case rotation.ProblemFound:
		count(ProblemsFound)
		line["level"] = slog.LevelError.String()
		line["Secret"] = measured.SecretARN
		line["Kind"] = string(measured.Kind)
		line["Severity"] = string(severity(measured.Kind))
		d.Dimensions = append(d.Dimensions, []string{"FunctionName", "Severity"}, []string{"FunctionName", "Secret", "Kind"})
	}
	line["_aws"] = metadata{now.UnixMilli(), []directive{d}}

	encoded, err := json.Marshal(line)
	if err != nil {
		return // strings and finite numbers always encode
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = m.out.Write(append(encoded, '\n'))
}

// severity is that of the table of kinds. A kind that is not in the table pages.
func severity(kind rotation.Kind) rotation.Severity {
	for _, info := range rotation.Kinds {
		if info.Kind == kind {
			return info.Severity
		}
	}
	return rotation.Page
}

// stepName keeps out what only an event made by hand has: CloudWatch drops a
// metric with an empty or overlong dimension, and any other makes a new one.
func stepName(step rotation.Step) string {
	switch step {
	case rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret:
		return string(step)
	}
	return "unknown"
}
