package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secretsmanager"
)

// line is what the tool reads of a line in the function's log.
type line struct {
	Event           rotation.Event
	Step, Kind      string
	Secret, Version string
	Error, Sealed   string
	at              time.Time
}

// readLog returns the lines since a time that match a filter pattern, oldest
// first, of this secret alone.
func (s *target) readLog(ctx context.Context, since time.Time, pattern string) ([]line, error) {
	if s.function.logGroup == "" {
		return nil, s.function.err
	}
	in := &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &s.function.logGroup, FilterPattern: &pattern, StartTime: aws.Int64(since.UnixMilli()),
	}
	var lines []line
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(s.logs, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, secretsmanager.Classify("FilterLogEvents", err)
		}
		for _, e := range page.Events {
			l := line{at: time.UnixMilli(aws.ToInt64(e.Timestamp))}
			if json.Unmarshal([]byte(aws.ToString(e.Message)), &l) == nil && l.Secret == s.arn {
				l.Step, l.Kind, l.Error = plain(l.Step), plain(l.Kind), plain(l.Error)
				lines = append(lines, l)
			}
		}
	}
	return lines, nil
}

// failures are the steps that failed.
const failures = `{ $.event = "step_failed" }`

// lastFailure returns the last failure of the version, or nil.
func (s *target) lastFailure(ctx context.Context, versionID string) (*line, error) {
	const back = 7 * 24 * time.Hour
	lines, err := s.readLog(ctx, time.Now().Add(-back), failures)
	for i := len(lines) - 1; i >= 0; i-- {
		if lines[i].Version == versionID {
			return &lines[i], err
		}
	}
	return nil, err
}
