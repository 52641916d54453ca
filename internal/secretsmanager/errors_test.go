package secretsmanager_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
	"panther-token-rotation/internal/secretsmanager"
)

const (
	confidential  = "Zk3pQ8vR1xW6yT9bN4mC7hJ2"
	rotationToken = "fQ2sD5gH8jL1kP4o"
	secretARN     = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:panther-AbCdEf"
)

// answering starts a Secrets Manager that gives every call this answer.
func answering(t *testing.T, status int, body string) *sdk.Client {
	t.Helper()
	return served(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("X-Amzn-RequestId", "7a5f3c1e")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func served(t *testing.T, handler http.HandlerFunc) *sdk.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return clientOf(t, server.URL)
}

func clientOf(t *testing.T, endpoint string) *sdk.Client {
	t.Helper()
	c, err := secretsmanager.ReadAWSConfig(settings("AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", endpoint))
	if err != nil {
		t.Fatal(err)
	}
	return secretsmanager.NewClient(c, "test/1", func(o *sdk.Options) {
		o.RetryMaxAttempts = 1
		o.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	})
}

func put(ctx context.Context, client *sdk.Client) error {
	return secretsmanager.New(client).Put(ctx, rotation.Put{
		SecretARN:     secretARN,
		VersionID:     "v1",
		Labels:        []string{rotation.LabelPending},
		Value:         secret.NewText(`{"PANTHER_API_TOKEN":"` + confidential + `"}`),
		RotationToken: secret.NewText(rotationToken),
	})
}

// assertNoLeak prints err in every way it may come to be printed.
func assertNoLeak(t *testing.T, err error, confidential ...string) {
	t.Helper()
	printed := fmt.Sprintf("%v\n%+v\n%#v\n%q", err, err, err, err)
	for unwrapped := errors.Unwrap(err); unwrapped != nil; unwrapped = errors.Unwrap(unwrapped) {
		printed += fmt.Sprintf("\n%+v\n%#v", unwrapped, unwrapped)
	}
	for _, s := range confidential {
		for i := 0; i+8 <= len(s); i++ {
			if strings.Contains(printed, s[i:i+8]) {
				t.Errorf("%q is in the error:\n%s", s[i:i+8], printed)
				return
			}
		}
	}
}

// The messages are modelled on AWS's own: its validation errors quote the
// parameter, its signature errors the signed headers.
func TestErrorsOfTheSDKQuoteTheRequestAndOursDoNot(t *testing.T) {
	for name, tc := range map[string]struct {
		status       int
		body         string
		confidential string
		code         string
	}{
		"validation":     {400, `{"__type":"ValidationException","message":"1 validation error detected: Value '` + confidential + `' at 'secretString' failed to satisfy constraint"}`, confidential, "ValidationException"},
		"parameter":      {400, `{"__type":"InvalidParameterException","Message":"RotationToken ` + rotationToken + ` is not valid."}`, rotationToken, "InvalidParameterException"},
		"signature":      {403, `{"__type":"InvalidSignatureException","message":"The Canonical String for this request should have been\n'POST\n/\n\nhost:secretsmanager\nx-amz-security-token:session-token\n"}`, "session-token", "InvalidSignatureException"},
		"internal":       {500, `{"__type":"InternalServiceError","message":"could not store ` + confidential + `"}`, confidential, "InternalServiceError"},
		"an unknown one": {418, `{"__type":"com.example#Teapot","message":"` + confidential + `"}`, confidential, "Teapot"},
	} {
		t.Run(name, func(t *testing.T) {
			client := answering(t, tc.status, tc.body)
			arn, value := secretARN, confidential
			_, raw := client.PutSecretValue(t.Context(), &sdk.PutSecretValueInput{SecretId: &arn, SecretString: &value})
			if raw == nil || !strings.Contains(raw.Error(), tc.confidential) {
				t.Fatalf("the SDK's error does not leak, so this case proves nothing: %v", raw)
			}

			err := put(t.Context(), client)
			assertNoLeak(t, err, confidential, rotationToken, "session-token", "secret-access-key")
			failure, ok := errors.AsType[*secretsmanager.Error](err)
			if !ok {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			if failure.Operation != "PutSecretValue" || failure.Code != tc.code || failure.RequestID != "7a5f3c1e" {
				t.Errorf("an operator sees too little: %+v", failure)
			}
		})
	}
}

func TestMessagesThatSayWhatToMendStay(t *testing.T) {
	for code, message := range map[string]string{
		"AccessDeniedException":     "User: arn:aws:sts::123456789012:assumed-role/rotator/rotator is not authorized to perform: secretsmanager:PutSecretValue on resource: " + secretARN,
		"DecryptionFailure":         "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
		"EncryptionFailure":         "Secrets Manager can't encrypt the protected secret text using the provided KMS key.",
		"InvalidRequestException":   "You can't perform this operation on the secret because it was marked for deletion.",
		"ResourceNotFoundException": "Secrets Manager can't find the specified secret.",
		"LimitExceededException":    "The request failed because it would exceed one of the Secrets Manager quotas.",
		"ExpiredTokenException":     "The security token included in the request is expired",
	} {
		t.Run(code, func(t *testing.T) {
			err := put(t.Context(), answering(t, 400, fmt.Sprintf(`{"__type":%q,"Message":%q}`, code, message)))
			want := "PutSecretValue failed: " + code + ": " + message + " (request id 7a5f3c1e)"
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestWhatRotationDecidesBy(t *testing.T) {
	const notFound = `{"__type":"ResourceNotFoundException","Message":"Secrets Manager can't find the specified secret value for VersionId: v1"}`
	read := func(client *sdk.Client) error {
		_, err := secretsmanager.New(client).Read(t.Context(), secretARN, "v1")
		return err
	}

	if err := read(answering(t, 400, notFound)); !errors.Is(err, rotation.ErrNoValue) {
		t.Errorf("a version without value: %v", err)
	}
	for name, client := range map[string]*sdk.Client{
		"throttled":          answering(t, 400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`),
		"denied":             answering(t, 400, `{"__type":"AccessDeniedException","Message":"no"}`),
		"an invalid request": answering(t, 400, `{"__type":"InvalidRequestException","Message":"no"}`),
		"a page of a proxy":  answering(t, 404, `<html>not found</html>`),
		"no body":            answering(t, 404, ``),
		"internal":           answering(t, 500, `{"__type":"InternalServiceError"}`),
	} {
		if err := read(client); err == nil || errors.Is(err, rotation.ErrNoValue) {
			t.Errorf("%s was taken for a version without value: %v", name, err)
		}
	}
	if err := read(answering(t, 200, `{"ARN":"a","VersionId":"v1","SecretBinary":"AAEC"}`)); !errors.Is(err, secret.ErrBinary) {
		t.Errorf("a binary value: %v", err)
	}

	// AWS does not answer so; emulators do, for a version without a value.
	for name, body := range map[string]string{"neither": `{"ARN":"a","VersionId":"v1"}`, "an empty binary": `{"ARN":"a","VersionId":"v1","SecretBinary":""}`} {
		if err := read(answering(t, 200, body)); !errors.Is(err, rotation.ErrNoValue) || errors.Is(err, secret.ErrBinary) {
			t.Errorf("a version with %s: %v", name, err)
		}
	}

	err := put(t.Context(), answering(t, 400, `{"__type":"ResourceExistsException","Message":"You can't use ClientRequestToken v1 because that value is already in use for a version of secret panther."}`))
	if !errors.Is(err, rotation.ErrVersionTaken) {
		t.Errorf("a version with another value: %v", err)
	}
	if err := put(t.Context(), answering(t, 400, notFound)); err == nil || errors.Is(err, rotation.ErrVersionTaken) {
		t.Errorf("a missing secret was taken for a version with another value: %v", err)
	}
}

func TestWithoutAnAnswerTheErrorSaysWhereToLook(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	err := put(t.Context(), clientOf(t, closed.URL))
	if want := "PutSecretValue failed: the connection was refused; check the network path to Secrets Manager"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}

	hanging := served(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = put(ctx, hanging)
	if want := "PutSecretValue failed: no answer in time"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAnAnswerThatIsNotSecretsManagersSaysSo(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		body   string
	}{
		"cut off":           {200, `{"ARN":"` + confidential},
		"a broken error":    {400, `{"__type": ` + confidential},
		"a page of a proxy": {502, "<html>" + confidential},
		"nothing":           {502, ""},
		"other JSON":        {403, `{"error":"` + confidential + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			err := put(t.Context(), answering(t, tc.status, tc.body))
			assertNoLeak(t, err, confidential)
			want := fmt.Sprintf("PutSecretValue failed: HTTP status %d with an answer that cannot be read; check what answers at the endpoint (request id 7a5f3c1e)", tc.status)
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

func TestTheRotationTokenGoesAlong(t *testing.T) {
	var sent string
	client := served(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = string(body)
		_, _ = io.WriteString(w, `{}`)
	})
	if err := put(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(sent, `"RotationToken":"`+rotationToken+`"`) || !strings.Contains(sent, `"ClientRequestToken":"v1"`) {
		t.Errorf("PutSecretValue was called with %s", sent)
	}
	err := secretsmanager.New(client).Put(t.Context(), rotation.Put{SecretARN: secretARN, VersionID: "v1", Value: secret.NewText("x")})
	if err != nil || strings.Contains(sent, "RotationToken") {
		t.Errorf("without a RotationToken, PutSecretValue was called with %s (%v)", sent, err)
	}
}

// TestNoAnswerIsDistinguished: where there was none, an earlier answer says more.
func TestNoAnswerIsDistinguished(t *testing.T) {
	if err := put(t.Context(), answering(t, 400, `{"__type":"ThrottlingException"}`)); errors.Is(err, rotation.ErrNoAnswer) {
		t.Errorf("an answer counts as none: %v", err)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	if err := put(t.Context(), clientOf(t, closed.URL)); !errors.Is(err, rotation.ErrNoAnswer) {
		t.Errorf("no answer counts as one: %v", err)
	}
}
