// Package cloudwatchlogs stands in for Amazon CloudWatch Logs: one log group, in
// memory, read as "aws logs filter-log-events", "aws logs tail" and "aws logs
// describe-log-groups" read it. Lines can be read at once, which AWS does not
// promise.
package cloudwatchlogs

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// TargetPrefix begins the header X-Amz-Target of each request.
const TargetPrefix = "Logs_20140328."

// maxEvents is how many events FilterLogEvents returns in one page.
const maxEvents = 10_000

// Group is a log group. It is an http.Handler.
type Group struct {
	name, arn string
	created   time.Time

	mu     sync.Mutex
	events []event
}

// event is a line, as FilterLogEvents returns it.
type event struct {
	LogStreamName string `json:"logStreamName"`
	Timestamp     int64  `json:"timestamp"`
	Message       string `json:"message"`
	IngestionTime int64  `json:"ingestionTime"`
	EventID       string `json:"eventId"`
}

// New makes a log group.
func New(name, region, accountID string) *Group {
	arn := fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s", region, accountID, name)
	return &Group{name: name, arn: arn, created: time.Now()}
}

// Add appends a line.
func (g *Group) Add(line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now().UTC()
	g.events = append(g.events, event{
		LogStreamName: now.Format("2006/01/02/") + "[$LATEST]sandbox", Message: line,
		Timestamp: now.UnixMilli(), IngestionTime: now.UnixMilli(), EventID: fmt.Sprintf("%056d", len(g.events)+1),
	})
}

// apiError is an error answer; its fields are those of the wire.
type apiError struct {
	Kind    string `json:"__type"`
	Message string `json:"message"`
}

// ServeHTTP answers one request of the AWS JSON 1.1 protocol.
func (g *Group) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var output any
	var failure *apiError
	switch operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), TargetPrefix); operation {
	case "FilterLogEvents":
		output, failure = g.filterLogEvents(r)
	case "DescribeLogGroups":
		output, failure = g.describeLogGroups(r)
	default:
		failure = &apiError{"UnknownOperationException", "The sandbox's CloudWatch Logs does not have " + operation}
	}
	status := http.StatusOK
	if failure != nil {
		status, output = http.StatusBadRequest, failure
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(output)
}

func decode(r *http.Request, in any) *apiError {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(in); err != nil {
		return &apiError{"SerializationException", "The sandbox does not take this: " + err.Error()}
	}
	return nil
}

// filterLogEvents is FilterLogEvents
// (https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html).
func (g *Group) filterLogEvents(r *http.Request) (any, *apiError) {
	var in struct {
		LogGroupName, LogGroupIdentifier, LogStreamNamePrefix, FilterPattern, NextToken string
		LogStreamNames                                                                  []string
		StartTime, EndTime                                                              int64
		Limit                                                                           int
		Interleaved, Unmask                                                             bool
	}
	if failure := decode(r, &in); failure != nil {
		return nil, failure
	}
	if in.LogGroupName != g.name && in.LogGroupIdentifier != g.name && in.LogGroupIdentifier != g.arn {
		return nil, &apiError{"ResourceNotFoundException", "The specified log group does not exist."}
	}
	matches, err := parse(in.FilterPattern)
	if err != nil {
		return nil, &apiError{"InvalidParameterException", "Invalid filter pattern: " + err.Error()}
	}
	if in.Limit < 1 || in.Limit > maxEvents {
		in.Limit = maxEvents
	}
	type page struct {
		Events    []event  `json:"events"`
		Searched  []string `json:"searchedLogStreams"`
		NextToken string   `json:"nextToken,omitempty"`
	}
	found := page{Events: []event{}, Searched: []string{}}
	first, _ := strconv.Atoi(in.NextToken)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := max(first, 0); i < len(g.events); i++ {
		e := g.events[i]
		switch {
		case e.Timestamp < in.StartTime, in.EndTime > 0 && e.Timestamp > in.EndTime, !matches(e.Message):
			continue
		case len(found.Events) == in.Limit:
			found.NextToken = strconv.Itoa(i)
			return found, nil
		}
		found.Events = append(found.Events, e)
	}
	return found, nil
}

func (g *Group) describeLogGroups(r *http.Request) (any, *apiError) {
	var in struct {
		LogGroupNamePrefix, LogGroupNamePattern, NextToken string
		Limit                                              int
	}
	if failure := decode(r, &in); failure != nil {
		return nil, failure
	}
	groups := []map[string]any{}
	if strings.HasPrefix(g.name, in.LogGroupNamePrefix) && strings.Contains(g.name, in.LogGroupNamePattern) {
		groups = append(groups, map[string]any{"logGroupName": g.name, "logGroupArn": g.arn, "arn": g.arn + ":*",
			"creationTime": g.created.UnixMilli(), "logGroupClass": "STANDARD"})
	}
	return map[string]any{"logGroups": groups}, nil
}

// Lines returns all lines so far.
func (g *Group) Lines() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var lines []string
	for _, e := range g.events {
		lines = append(lines, e.Message)
	}
	return lines
}
