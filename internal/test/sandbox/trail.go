package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"panther-token-rotation/internal/test/sandbox/secretsmanager"
)

const trailPrefix = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."

// trail is CloudTrail's event history, of Secrets Manager's service events alone
// (https://docs.aws.amazon.com/secretsmanager/latest/userguide/cloudtrail_log_entries.html).
type trail struct {
	region, account string

	mu     sync.Mutex
	events []trailEvent // oldest first
}

type trailEvent struct {
	EventId, EventName, EventSource, ReadOnly string
	EventTime                                 float64
	Resources                                 []trailResource
	CloudTrailEvent                           string
}

type trailResource struct{ ResourceType, ResourceName string }

// add records an event of a rotation. Steps are no events of AWS's.
func (t *trail) add(e secretsmanager.Event) {
	if e.Step != "" {
		return
	}
	id := secretsmanager.NewID()
	record := map[string]any{
		"eventVersion": "1.08", "eventType": "AwsServiceEvent", "eventSource": "secretsmanager.amazonaws.com",
		"eventName": e.Name, "eventTime": e.Time.UTC().Format(time.RFC3339), "eventID": id, "awsRegion": t.region,
		"recipientAccountId": t.account, "userIdentity": map[string]string{"accountId": t.account, "invokedBy": "secretsmanager.amazonaws.com"},
		"additionalEventData": map[string]string{"SecretId": e.SecretARN, "ClientRequestToken": e.VersionID},
	}
	if e.Err != nil {
		record["errorMessage"] = e.Err.Error()
	}
	text, err := json.Marshal(record)
	if err != nil {
		panic(err) // strings always marshal
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, trailEvent{
		EventId: id, EventName: e.Name, EventSource: "secretsmanager.amazonaws.com", ReadOnly: "false",
		EventTime: float64(e.Time.UnixMilli()) / 1000, CloudTrailEvent: string(text),
		Resources: []trailResource{{"AWS::SecretsManager::Secret", e.SecretARN}},
	})
}

// ServeHTTP answers LookupEvents, newest first.
func (t *trail) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		LookupAttributes []struct{ AttributeKey, AttributeValue string }
		StartTime        float64
		EndTime          float64
		MaxResults       int
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".LookupEvents") {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": "UnknownOperationException", "message": "The sandbox's CloudTrail has LookupEvents alone"})
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	found := []trailEvent{}
	for _, e := range slices.Backward(t.events) {
		wanted := e.EventTime >= in.StartTime && (in.EndTime == 0 || e.EventTime <= in.EndTime)
		for _, a := range in.LookupAttributes {
			has := map[string]string{"EventName": e.EventName, "EventSource": e.EventSource, "EventId": e.EventId, "ResourceName": e.Resources[0].ResourceName}
			wanted = wanted && has[a.AttributeKey] == a.AttributeValue
		}
		if wanted && (in.MaxResults == 0 || len(found) < in.MaxResults) {
			found = append(found, e)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"Events": found})
}
