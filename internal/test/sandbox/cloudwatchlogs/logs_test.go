package cloudwatchlogs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var lines = []string{
	`{"type":"platform.start","record":{"requestId":"1"}}`,
	`{"event":"step_failed","kind":"StandbyLost","step":"createSecret","attempt":2}`,
	`{"event":"step_done","step":"createSecret"}`,
	`{"type":"platform.report","record":{"requestId":"1","status":"error"}}`,
	`{"type":"platform.report","record":{"requestId":"2","status":"success"}}`,
	`RequestId: 3 Error: Runtime exited with error: signal: killed`,
	`{"stream":"a/[$LATEST]?b"}`,
}

func TestFilterPatterns(t *testing.T) {
	for pattern, want := range map[string][]int{
		``:                                    {0, 1, 2, 3, 4, 5, 6},
		`step_done`:                           {2},
		`"createSecret" step_failed`:          {1},
		`"signal: killed"`:                    {5},
		`?"signal: killed" ?panic ?step_done`: {2, 5},
		`platform -report`:                    {0},
		`{ $.event = "step_failed" }`:         {1},
		`{$.event="step_failed"}`:             {1},
		`{ $.event = step_done }`:             {2},
		`{ $.attempt = 2 }`:                   {1},
		`{ $.event = "step_*" && $.step = "createSecret" }`:                           {1, 2},
		`{ $.type = "platform.report" && $.record.status != "success" }`:              {3},
		`{ $.event = "none" || $.kind = "Standby*" }`:                                 {1},
		`{ ($.event = "step_done" || $.event = "step_failed") && $.kind != "Other" }`: {1},
		`{ $.nothing != "x" }`:                                nil,
		`{ $.stream = "a/[$LATEST]?b" || $.stream = "none" }`: {6},
		`{ $.stream = "*]?b" }`:                               {6},
		`{ $.stream = "a?[$LATEST]*" }`:                       nil,
	} {
		matches, err := parse(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		var got []int
		for i, line := range lines {
			if matches(line) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s matches the lines %v, want %v", pattern, got, want)
		}
	}
	for _, pattern := range []string{`{ $.event = "x"`, `{ $.event > 3 }`, `{ event = "x" }`, `{ ($.a = "x" }`, `{ }`, `{ $.a = "x" $.b = "y" }`} {
		if _, err := parse(pattern); err == nil {
			t.Errorf("%s is accepted", pattern)
		}
	}
}

// ask sends one request and decodes the answer.
func ask(t *testing.T, g *Group, operation, body string) (status int, answer struct {
	Type      string `json:"__type"`
	Events    []event
	NextToken string
	LogGroups []struct{ LogGroupName string }
}) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", TargetPrefix+operation)
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	if err := json.NewDecoder(w.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return w.Code, answer
}

func TestEventsAreFoundByTimeAndPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New("/aws/lambda/rotate", "eu-west-1", "123456789012")
		start := time.Now().UnixMilli()
		for _, line := range lines {
			g.Add(line)
			time.Sleep(time.Second)
		}
		between, _ := json.Marshal(map[string]any{"logGroupName": "/aws/lambda/rotate", "startTime": start + 1000, "endTime": start + 2000})
		if _, got := ask(t, g, "FilterLogEvents", string(between)); len(got.Events) != 2 || got.Events[0].Message != lines[1] || got.Events[0].Timestamp != start+1000 {
			t.Errorf("between two times: %+v", got.Events)
		}
		var messages []string
		for token := ""; ; {
			body, _ := json.Marshal(map[string]any{"logGroupIdentifier": g.arn, "limit": 4, "nextToken": token, "interleaved": true})
			_, got := ask(t, g, "FilterLogEvents", string(body))
			for _, e := range got.Events {
				messages = append(messages, e.Message)
			}
			if token = got.NextToken; token == "" {
				break
			}
		}
		if !slices.Equal(messages, lines) {
			t.Errorf("page by page: %q", messages)
		}
	})
}

func TestRequestsThatAWSRefuses(t *testing.T) {
	g := New("/aws/lambda/rotate", "eu-west-1", "123456789012")
	for _, c := range []struct{ operation, body, kind string }{
		{"FilterLogEvents", `{"logGroupName":"/aws/lambda/another"}`, "ResourceNotFoundException"},
		{"FilterLogEvents", `{"logGroupName":"/aws/lambda/rotate","filterPattern":"{ x }"}`, "InvalidParameterException"},
		{"FilterLogEvents", `{"logGroup":"/aws/lambda/rotate"}`, "SerializationException"},
		{"StartQuery", `{}`, "UnknownOperationException"},
	} {
		if status, got := ask(t, g, c.operation, c.body); status != http.StatusBadRequest || got.Type != c.kind {
			t.Errorf("%s %s: %d %s", c.operation, c.body, status, got.Type)
		}
	}
	if _, got := ask(t, g, "DescribeLogGroups", `{"logGroupNamePrefix":"/aws/lambda/ro"}`); len(got.LogGroups) != 1 {
		t.Errorf("groups: %v", got.LogGroups)
	}
}
