package secretsmanager

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

const signature = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=00"

// post sends a request without an SDK.
func (a *account) post(target, authorization, body string) (*http.Response, map[string]any) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	decoder := json.NewDecoder(resp.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil {
		a.t.Fatal(err)
	}
	return resp, answer
}

func TestErrorsOnTheWire(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		target, authorization, body string
		kind, message               string
		status                      int
	}{
		"an error of the service": {
			"secretsmanager.GetSecretValue", signature, `{"SecretId":"unknown"}`,
			"ResourceNotFoundException", "Secrets Manager can't find the specified secret.", 400,
		},
		"no signature": {
			"secretsmanager.GetSecretValue", "", `{"SecretId":"panther"}`,
			"MissingAuthenticationTokenException", "Missing Authentication Token", 400,
		},
		"another kind of signature": {
			"secretsmanager.GetSecretValue", "Bearer Credential=x", `{"SecretId":"panther"}`,
			"MissingAuthenticationTokenException", "Missing Authentication Token", 400,
		},
		"an operation that the sandbox lacks": {
			"secretsmanager.GetRandomPassword", signature, `{}`,
			"UnknownOperationException", `The sandbox does not have the operation "GetRandomPassword". Of Secrets Manager it has CancelRotateSecret, CreateSecret, DeleteSecret, DescribeSecret, GetSecretValue, ListSecretVersionIds, ListSecrets, PutSecretValue, RestoreSecret, RotateSecret, UpdateSecretVersionStage.`, 400,
		},
		"another service": {
			"DynamoDB_20120810.ListTables", signature, `{}`,
			"UnknownOperationException", "The sandbox does not have", 400,
		},
		"not JSON": {
			"secretsmanager.GetSecretValue", signature, `SecretId=panther`,
			"SerializationException", "The request is not JSON", 400,
		},
		"no SecretId": {
			"secretsmanager.GetSecretValue", signature, `{}`,
			"ValidationException", "1 validation error detected", 400,
		},
		"too large by far": {
			"secretsmanager.PutSecretValue", signature, `{"SecretString":"` + strings.Repeat("x", maxRequest) + `"}`,
			"RequestEntityTooLargeException", "", 413,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openAccount(t, Options{})
			resp, answer := a.post(c.target, c.authorization, c.body)
			message, _ := answer["Message"].(string)
			if resp.StatusCode != c.status || answer["__type"] != c.kind || !strings.HasPrefix(message, c.message) {
				t.Errorf("the answer is %d %v", resp.StatusCode, answer)
			}
			if answer["message"] != message {
				t.Error("message and Message differ")
			}
			if resp.Header.Get("X-Amzn-Requestid") == "" || resp.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
				t.Errorf("the headers are %v", resp.Header)
			}
		})
	}
}

func TestAnswerOnTheWire(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	resp, answer := a.post("secretsmanager.GetSecretValue", signature, `{"SecretId":"panther"}`)
	if resp.StatusCode != 200 || resp.Header.Get("X-Amzn-Requestid") == "" {
		t.Errorf("the answer is %s %v", resp.Status, resp.Header)
	}
	if members := slices.Sorted(maps.Keys(answer)); !slices.Equal(members, []string{"ARN", "CreatedDate", "Name", "SecretString", "VersionId", "VersionStages"}) {
		t.Errorf("it has %v", members)
	}
	seconds, err := answer["CreatedDate"].(json.Number).Float64()
	if created := time.UnixMilli(int64(seconds * 1000)); err != nil || time.Since(created).Abs() > time.Minute {
		t.Errorf("CreatedDate is %v, want seconds since 1970", answer["CreatedDate"])
	}
}

func TestVersionIDIsMadeWhereTheRequestHasNone(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	_, answer := a.post("secretsmanager.PutSecretValue", signature, `{"SecretId":"panther","SecretString":"two"}`)
	made, _ := answer["VersionId"].(string)
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(made) {
		t.Fatalf("VersionId is %q, want a random UUID", made)
	}
	a.wantValue(made, "AWSCURRENT", "two")
}

func TestEveryFewRequestsAreThrottled(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{ThrottleEvery: 3}) // CreateSecret was the first
	for n := 2; n <= 7; n++ {
		_, err := a.get("", "")
		if n%3 == 0 {
			wantError(t, err, "ThrottlingException", "Rate exceeded")
		} else {
			wantError(t, err, "", "")
		}
	}
}

func TestReadsLag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := openInBubble(t, Options{ReadLag: time.Second, Speed: 1000})
		_, err := a.get("", "")
		wantError(t, err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")
		_, err = a.get(*id(1), "")
		wantError(t, err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+*id(1))
		time.Sleep(time.Second)
		a.wantValue("", "", "one")
		a.wantValue(*id(1), "", "one")
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  Fault
		code   string // "" for no answer at all
		labels string
	}{
		"an error before the effect": {Fault{Code: "InternalServiceError", Message: "try again"}, "InternalServiceError", "1 AWSCURRENT"},
		"an error after the effect":  {Fault{Code: "InternalServiceError", AfterEffect: true}, "InternalServiceError", "1 AWSPREVIOUS, 2 AWSCURRENT"},
		"a status of choice":         {Fault{Code: "AccessDeniedException", HTTPStatus: 400}, "AccessDeniedException", "1 AWSCURRENT"},
		"a broken connection":        {Fault{DropConnection: true}, "", "1 AWSCURRENT"},
		"a lost answer":              {Fault{DropConnection: true, AfterEffect: true}, "", "1 AWSPREVIOUS, 2 AWSCURRENT"},
		"a request that hangs":       {Fault{Hang: true}, "", "1 AWSCURRENT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openAccount(t, Options{Fault: func(operation, secretID string) *Fault {
				if operation == "PutSecretValue" && secretID != "" {
					return &c.fault
				}
				return nil
			}})
			ctx := t.Context()
			if c.fault.Hang {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			_, err := a.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: &a.arn, ClientRequestToken: id(2), SecretString: aws.String("two")})
			switch {
			case c.fault.Hang && !errors.Is(err, context.DeadlineExceeded):
				t.Errorf("it did not hang: %v", err)
			case c.code == "" && !c.fault.Hang && !errors.Is(err, io.EOF):
				t.Errorf("the connection did not break: %v", err)
			case c.code != "":
				wantError(t, err, c.code, c.fault.Message)
			}
			a.wantLabels(c.labels)
		})
	}
}

func TestCloseEndsRequestsThatHang(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{})
	a := openAccount(t, Options{Fault: func(operation, _ string) *Fault {
		if operation != "GetSecretValue" {
			return nil
		}
		close(hanging)
		return &Fault{Hang: true}
	}})
	ended := make(chan error)
	go func() { _, err := a.get("", ""); ended <- err }()
	<-hanging
	a.server.Close()
	if err := <-ended; err == nil {
		t.Error("it was answered")
	}
}

func TestCallsAreReported(t *testing.T) {
	t.Parallel()
	a := openAccount(t, Options{})
	wantError(t, a.put(id(2), "a value to keep", "AWSPENDING"), "", "")
	wantError(t, a.put(id(2), "a value to keep", "AWSPENDING"), "", "")
	a.wantValue("", "", "one")
	_, _ = a.get(*id(3), "")
	a.mu.Lock()
	defer a.mu.Unlock()
	type told struct {
		op, secret, version, stages, code string
		ignored                           bool
	}
	var got []told
	for _, c := range a.calls {
		if c.Duration <= 0 || c.Time.IsZero() {
			t.Errorf("%s took %v at %v", c.Operation, c.Duration, c.Time)
		}
		got = append(got, told{c.Operation, c.SecretID, strings.TrimLeft(c.VersionID, "0"), strings.Join(c.Stages, " "), c.ErrorCode, c.Ignored})
	}
	want := []told{
		{"CreateSecret", "panther", "1", "AWSCURRENT", "", false},
		{"PutSecretValue", a.arn, "2", "AWSPENDING", "", false},
		{"PutSecretValue", a.arn, "2", "AWSPENDING", "", true},
		{"GetSecretValue", a.arn, "1", "AWSCURRENT", "", false},
		{"GetSecretValue", a.arn, "3", "", "ResourceNotFoundException", false},
	}
	if !slices.Equal(got, want) {
		t.Errorf("told\n%v, want\n%v", got, want)
	}
}
