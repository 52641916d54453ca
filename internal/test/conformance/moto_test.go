//go:build verify

package conformance

import (
	"archive/zip"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/test/sandbox"
	"panther-token-rotation/internal/test/sandbox/lambdaruntime"
	"panther-token-rotation/internal/test/sandbox/panther"
)

// The value of the secrets here is a JSON object around a token, with spelling that
// would not survive being parsed and written.
const (
	valueBefore = "{ \"PANTHER_API_URL\":\"https://api.acme.runpanther.net\",\n  \"PANTHER_API_TOKEN\" : \""
	valueAfter  = "\", \"port\":4.430e2 }\n"
)

// startPanther starts a Panther and returns its URL.
func startPanther(t *testing.T) (*panther.API, string) {
	t.Helper()
	api := panther.New(panther.Options{PropagationDelay: 300 * time.Millisecond})
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return api, server.URL + panther.Path
}

func buildFunction(t *testing.T) string {
	t.Helper()
	binary, err := sandbox.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// newSecret makes a secret with a value in version 1.
func newSecret(t *testing.T, e endpoint, value string) *secret {
	t.Helper()
	s := &secret{endpoint: e, id: "acme/panther"}
	if _, err := e.client.CreateSecret(t.Context(), &sdk.CreateSecretInput{
		Name: &s.id, ClientRequestToken: aws.String(versionID(1)), SecretString: &value,
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

// must ends the test at the first difference.
func (s *secret) must(t *testing.T, steps ...step) {
	t.Helper()
	if got := s.firstDifference(t.Context(), steps...); got != "" {
		t.Fatal(got)
	}
}

// mustLive checks that AWSCURRENT is the old value with a living token in it, which
// it returns.
func (s *secret) mustLive(t *testing.T, api *panther.API) string {
	t.Helper()
	value, err := s.value(t.Context(), 0, "AWSCURRENT")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(value, valueBefore) || !strings.HasSuffix(value, valueAfter) {
		t.Fatal("more than the token changed in the value")
	}
	token := value[len(valueBefore) : len(value)-len(valueAfter)]
	if status := api.Status(token); status != panther.Living {
		t.Errorf("the AWSCURRENT token is %s", status)
	}
	return token
}

// TestFunctionRotatesOnMoto invokes the function's binary as Secrets Manager does,
// because moto invokes only functions of its own Lambda, which needs Docker.
func TestFunctionRotatesOnMoto(t *testing.T) {
	rotatesOnMoto(t, buildFunction(t))
}

// TestTheReleasedFunctionRotatesOnMoto takes the binary out of a release's zip,
// which make verify names by RELEASED_ZIP.
func TestTheReleasedFunctionRotatesOnMoto(t *testing.T) {
	archive, err := zip.OpenReader(os.Getenv("RELEASED_ZIP"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	dir := t.TempDir()
	if err := os.CopyFS(dir, archive); err != nil {
		t.Fatal(err)
	}
	rotatesOnMoto(t, filepath.Join(dir, "bootstrap"))
}

func rotatesOnMoto(t *testing.T, binary string) {
	t.Helper()
	motoURL := startMoto(t)
	api, pantherURL := startPanther(t)
	token := api.NewToken("rotated")
	oldValue := valueBefore + token + valueAfter
	s := newSecret(t, endpoint{client: newClient(motoURL), function: functionARN}, oldValue)
	function, err := lambdaruntime.New(lambdaruntime.Options{
		Binary:  binary,
		Name:    "conformance",
		Region:  "eu-west-1",
		Timeout: time.Minute,
		Env:     map[string]string{"PANTHER_API_URL": pantherURL, "PROPAGATION_TIMEOUT": "10s", "AWS_ENDPOINT_URL_SECRETS_MANAGER": motoURL},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = function.Close() })
	invoke := func(step string) {
		t.Helper()
		event, err := json.Marshal(events.SecretsManagerSecretRotationEvent{
			Step: step, SecretID: s.id, ClientRequestToken: versionID(2), RotationToken: "5cbf7c9f-0000-4000-8000-d8b7b4a1e0a2",
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := function.Invoke(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}

	// It refuses, but has made the version that RotateSecret of AWS makes. Without a
	// schedule it would not turn rotation on, as AWS does.
	s.must(t,
		refused(rotate(2, everyMonth), "ResourceNotFoundException", "Resource not found for ARN "),
		shows("that rotation is on", rotationIsOn),
		labels("1 AWSCURRENT, 2 AWSPENDING"),
		refused(get(2, ""), "ResourceNotFoundException", ""),
	)
	invoke("createSecret")
	s.must(t, labels("1 AWSCURRENT, 2 AWSPENDING"), reads(1, "", oldValue), get(2, "AWSPENDING"))
	invoke("createSecret") // as when a step failed
	invoke("setSecret")
	invoke("testSecret")
	invoke("finishSecret")
	s.must(t, labels("1 AWSPREVIOUS, 2 AWSCURRENT AWSPENDING"))
	invoke("finishSecret")
	s.must(t,
		move("AWSPENDING", 0, 2), // as Secrets Manager does then
		labels("1 AWSPREVIOUS, 2 AWSCURRENT"),
		reads(0, "AWSPREVIOUS", oldValue),
	)
	if s.mustLive(t, api) == token || api.Status(token) != panther.Dead {
		t.Error("the token was not rotated")
	}
	rotations := 0
	for _, call := range api.Calls() {
		if call.Rotated {
			rotations++
		}
	}
	if rotations != 1 {
		t.Errorf("the token was rotated %d times", rotations)
	}
}
