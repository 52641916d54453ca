// Package metrics writes measurements to the log in CloudWatch's embedded
// metric format, from which CloudWatch makes metrics without a call to its API
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
package metrics

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"panther-token-rotation/internal/rotation"
)

// Namespace is the CloudWatch namespace of the metrics.
const Namespace = "PantherTokenRotation"

// The metrics. Times are in milliseconds, the others count.
const (
	RotationsSucceeded = "RotationsSucceeded" // finishSecret moved AWSCURRENT
	RotationsFailed    = "RotationsFailed"    // steps that failed, by Step and Kind
	TokensNotStored    = "TokensNotStored"    // a new token could not be stored: act at once
	PropagationTime    = "PropagationTime"    // how long testSecret waited for the new token to work
	OutageTime         = "OutageTime"         // from Panther's switch to AWSCURRENT on the new token
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
// on which alarms are set; failures have it also with Step and Kind. The
// secret's ARN is a property, to be found by a log query: as a dimension, it
// would make a metric of each secret.
//
// Lambda drops lines below the function's log level, and takes one without
// level or timestamp for INFO
// (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html).
// So failures have the level ERROR, lest their alarms go with the lines.
func (m *Meter) Measure(measured rotation.Measurement) {
	now := time.Now()
	line := map[string]any{
		"level":        "INFO",
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
	if measured.Event == rotation.Failed || measured.Event == rotation.Unstored {
		line["level"] = "ERROR"
	}
	switch measured.Event {
	case rotation.Rotated:
		count(RotationsSucceeded)
		if measured.Duration > 0 {
			duration(OutageTime)
		}
	case rotation.Failed:
		count(RotationsFailed)
		line["Kind"] = string(measured.Kind)
		d.Dimensions = append(d.Dimensions, []string{"FunctionName", "Step", "Kind"})
	case rotation.Propagated:
		duration(PropagationTime)
	case rotation.Unstored:
		count(TokensNotStored)
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

// stepName keeps out what only an event made by hand has: CloudWatch drops a
// metric with an empty or overlong dimension, and any other makes a new one.
func stepName(step rotation.Step) string {
	switch step {
	case rotation.CreateSecret, rotation.SetSecret, rotation.TestSecret, rotation.FinishSecret:
		return string(step)
	}
	return "unknown"
}
