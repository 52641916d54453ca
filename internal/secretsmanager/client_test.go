package secretsmanager_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"panther-token-rotation/internal/secretsmanager"
)

// settings is an environment with credentials and what a test adds.
func settings(pairs ...string) func(string) string {
	all := map[string]string{
		"AWS_ACCESS_KEY_ID":     "AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY": "secret-access-key",
		"AWS_SESSION_TOKEN":     "session-token",
	}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return all[name] }
}

// wire takes the place of the network and keeps the last request.
type wire struct{ request *http.Request }

var errNoNetwork = errors.New("no network here")

func (w *wire) Do(req *http.Request) (*http.Response, error) {
	w.request = req
	return nil, errNoNetwork
}

// firstRequest returns the request that a client with these settings sends.
func firstRequest(t *testing.T, getenv func(string) string) *http.Request {
	t.Helper()
	c, err := secretsmanager.ReadAWSConfig(getenv)
	if err != nil {
		t.Fatal(err)
	}
	var w wire
	client := secretsmanager.NewClient(c, "panther-token-rotation/1.2.3", func(o *sdk.Options) {
		o.HTTPClient = &w
		o.RetryMaxAttempts = 1
	})
	secretID := "s"
	_, err = client.DescribeSecret(t.Context(), &sdk.DescribeSecretInput{SecretId: &secretID})
	if !errors.Is(err, errNoNetwork) {
		t.Fatalf("the client came to another end: %v", err)
	}
	return w.request
}

// The host names:
// https://docs.aws.amazon.com/general/latest/gr/asm.html and, for the other
// partitions, their own pages of service endpoints. In the partitions aws,
// aws-us-gov and aws-cn the ordinary name is the dual-stack one.
func TestEveryPartitionHasItsEndpoint(t *testing.T) {
	const fips, dualStack = "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"
	for _, tc := range []struct {
		region string
		on     []string
		want   string
	}{
		{"eu-west-1", nil, "https://secretsmanager.eu-west-1.amazonaws.com/"},
		{"us-east-1", nil, "https://secretsmanager.us-east-1.amazonaws.com/"},
		{"us-east-1", []string{fips}, "https://secretsmanager-fips.us-east-1.amazonaws.com/"},
		{"eu-west-1", []string{dualStack}, "https://secretsmanager.eu-west-1.amazonaws.com/"},
		{"us-east-1", []string{fips, dualStack}, "https://secretsmanager-fips.us-east-1.amazonaws.com/"},
		{"us-gov-west-1", nil, "https://secretsmanager.us-gov-west-1.amazonaws.com/"},
		{"us-gov-west-1", []string{fips}, "https://secretsmanager-fips.us-gov-west-1.amazonaws.com/"},
		{"us-gov-east-1", []string{dualStack}, "https://secretsmanager.us-gov-east-1.amazonaws.com/"},
		{"us-gov-east-1", []string{fips, dualStack}, "https://secretsmanager-fips.us-gov-east-1.amazonaws.com/"},
		{"cn-north-1", nil, "https://secretsmanager.cn-north-1.amazonaws.com.cn/"},
		{"cn-northwest-1", []string{dualStack}, "https://secretsmanager.cn-northwest-1.amazonaws.com.cn/"},
		{"us-iso-east-1", nil, "https://secretsmanager.us-iso-east-1.c2s.ic.gov/"},
		{"us-iso-east-1", []string{fips}, "https://secretsmanager-fips.us-iso-east-1.c2s.ic.gov/"},
		{"us-iso-east-1", []string{dualStack}, "https://secretsmanager.us-iso-east-1.api.aws.ic.gov/"},
		{"us-isob-east-1", nil, "https://secretsmanager.us-isob-east-1.sc2s.sgov.gov/"},
		{"eu-isoe-west-1", nil, "https://secretsmanager.eu-isoe-west-1.cloud.adc-e.uk/"},
		{"us-isof-south-1", nil, "https://secretsmanager.us-isof-south-1.csp.hci.ic.gov/"},
		{"eusc-de-east-1", nil, "https://secretsmanager.eusc-de-east-1.amazonaws.eu/"},
	} {
		t.Run(strings.Join(append([]string{tc.region}, tc.on...), "+"), func(t *testing.T) {
			pairs := []string{"AWS_REGION", tc.region}
			for _, name := range tc.on {
				pairs = append(pairs, name, "true")
			}
			req := firstRequest(t, settings(pairs...))
			if got := req.URL.String(); got != tc.want {
				t.Errorf("called %s, want %s", got, tc.want)
			}
			scope := "/" + tc.region + "/secretsmanager/aws4_request"
			if got := req.Header.Get("Authorization"); !strings.Contains(got, scope) {
				t.Errorf("signed for another scope than %s: %s", scope, got)
			}
		})
	}
}

// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
// gives the order, and the spelling of the flags.
func TestConfiguredEndpointsGoInTheOrderOfEverySDK(t *testing.T) {
	const (
		regional = "https://secretsmanager.eu-west-1.amazonaws.com/"
		all      = "http://127.0.0.1:4566"
		own      = "https://vpce-1.secretsmanager.eu-west-1.vpce.amazonaws.com/base"
	)
	for name, tc := range map[string]struct {
		pairs []string
		want  string
	}{
		"for all services":               {[]string{"AWS_ENDPOINT_URL", all}, all + "/"},
		"for this one":                   {[]string{"AWS_ENDPOINT_URL_SECRETS_MANAGER", own}, own},
		"both":                           {[]string{"AWS_ENDPOINT_URL", all, "AWS_ENDPOINT_URL_SECRETS_MANAGER", own}, own},
		"another service's":              {[]string{"AWS_ENDPOINT_URL_S3", own}, regional},
		"ignored":                        {[]string{"AWS_ENDPOINT_URL", all, "AWS_ENDPOINT_URL_SECRETS_MANAGER", own, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"}, regional},
		"ignored, in capitals":           {[]string{"AWS_ENDPOINT_URL", all, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TrUe"}, regional},
		"not ignored":                    {[]string{"AWS_ENDPOINT_URL", all, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "False"}, all + "/"},
		"the region's other name":        {[]string{"AWS_REGION", "", "AWS_DEFAULT_REGION", "eu-west-1"}, regional},
		"the region's first name counts": {[]string{"AWS_DEFAULT_REGION", "us-east-1"}, regional},
	} {
		t.Run(name, func(t *testing.T) {
			pairs := append([]string{"AWS_REGION", "eu-west-1"}, tc.pairs...)
			if got := firstRequest(t, settings(pairs...)).URL.String(); got != tc.want {
				t.Errorf("called %s, want %s", got, tc.want)
			}
		})
	}
}

func TestSettingsThatLeadNowhereFailAtStart(t *testing.T) {
	for name, tc := range map[string]struct {
		pairs []string
		named string
	}{
		"no region":                     {nil, "AWS_REGION"},
		"no access key":                 {[]string{"AWS_REGION", "eu-west-1", "AWS_ACCESS_KEY_ID", ""}, "AWS_ACCESS_KEY_ID"},
		"no secret key":                 {[]string{"AWS_REGION", "eu-west-1", "AWS_SECRET_ACCESS_KEY", ""}, "AWS_SECRET_ACCESS_KEY"},
		"a flag that no SDK takes":      {[]string{"AWS_REGION", "eu-west-1", "AWS_USE_FIPS_ENDPOINT", "1"}, "AWS_USE_FIPS_ENDPOINT"},
		"an endpoint without a scheme":  {[]string{"AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", "127.0.0.1:4566"}, "AWS_ENDPOINT_URL"},
		"an endpoint of another scheme": {[]string{"AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", "ftp://h.example"}, "AWS_ENDPOINT_URL"},
		"an endpoint without TLS":       {[]string{"AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", "http://h.example"}, "AWS_ENDPOINT_URL"},
		"an endpoint without a host":    {[]string{"AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", "https://"}, "AWS_ENDPOINT_URL"},
		"a bundle that is not read":     {[]string{"AWS_REGION", "eu-west-1", "AWS_CA_BUNDLE", "/opt/ca.pem"}, "AWS_CA_BUNDLE: not read by this function; set SSL_CERT_FILE"},
		"FIPS and an endpoint":          {[]string{"AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", "https://h.example", "AWS_USE_FIPS_ENDPOINT", "true"}, "AWS_USE_FIPS_ENDPOINT"},
		"dual stack and an endpoint":    {[]string{"AWS_REGION", "eu-west-1", "AWS_ENDPOINT_URL", "https://h.example", "AWS_USE_DUALSTACK_ENDPOINT", "true"}, "AWS_USE_DUALSTACK_ENDPOINT"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := secretsmanager.ReadAWSConfig(settings(tc.pairs...))
			if err == nil || !strings.Contains(err.Error(), tc.named) {
				t.Errorf("%v does not name %s", err, tc.named)
			}
		})
	}
}

func TestRequestsCarryCredentialsAndOurName(t *testing.T) {
	req := firstRequest(t, settings("AWS_REGION", "eu-west-1"))
	if got := req.Header.Get("Authorization"); !strings.HasPrefix(got, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || strings.Contains(got, "secret-access-key") {
		t.Errorf("Authorization is %s", got)
	}
	if got := req.Header.Get("X-Amz-Security-Token"); got != "session-token" {
		t.Errorf("X-Amz-Security-Token is %q", got)
	}
	agent := strings.Fields(req.Header.Get("User-Agent"))
	if len(agent) == 0 || !strings.HasPrefix(agent[0], "aws-sdk-go-v2/") {
		t.Errorf("the SDK does not name itself: %q", agent)
	}
	if last := agent[len(agent)-1]; last != "panther-token-rotation/1.2.3" {
		t.Errorf("we are not named with our version: %q", agent)
	}
}

func TestWithoutASessionTokenNoneIsSent(t *testing.T) {
	req := firstRequest(t, settings("AWS_REGION", "eu-west-1", "AWS_SESSION_TOKEN", ""))
	if _, sent := req.Header["X-Amz-Security-Token"]; sent {
		t.Error("an empty session token was sent")
	}
}

func TestABundleForOtherProgramsDoesNoHarm(t *testing.T) {
	firstRequest(t, settings("AWS_REGION", "eu-west-1", "AWS_CA_BUNDLE", "/opt/ca.pem", "SSL_CERT_FILE", "/opt/ca.pem"))
}

func TestTheSettingsCannotPrintTheRolesKey(t *testing.T) {
	c, err := secretsmanager.ReadAWSConfig(settings("AWS_REGION", "eu-west-1"))
	if err != nil {
		t.Fatal(err)
	}
	client := secretsmanager.NewClient(c, "test/1")
	for _, printed := range []string{
		fmt.Sprintf("%v %+v %#v", c, c, c),
		fmt.Sprintf("%v %+v %#v", &c, []any{c}, struct{ inner secretsmanager.AWSConfig }{c}),
		fmt.Sprintf("%+v %#v", client.Options(), client.Options()),
	} {
		for _, confidential := range []string{"AKIDEXAMPLE", "secret-access-key", "session-token"} {
			if strings.Contains(printed, confidential) {
				t.Errorf("%s is in %s", confidential, printed)
			}
		}
	}
}
