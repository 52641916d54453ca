package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smithymiddleware "github.com/aws/smithy-go/middleware"

	"panther-token-rotation/internal/network"
	"panther-token-rotation/internal/secret"
)

// AWSConfig is what the function takes from the environment that Lambda gives
// every function. The SDK's own config package reads the same variables, and
// also files, profiles, SSO and instance metadata, which a Lambda function does
// not have; going without it saves a third of the cold start and a fifth of
// the binary.
type AWSConfig struct {
	region    string
	endpoint  string // empty: the region's
	fips      bool
	dualStack bool
	// Confidential, so that no form of printing shows the role's key.
	accessKeyID, secretAccessKey, sessionToken secret.Text
}

// ReadAWSConfig reads AWS_REGION (or AWS_DEFAULT_REGION), the credentials
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN,
// AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_ENDPOINT_URL,
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, AWS_USE_FIPS_ENDPOINT and
// AWS_USE_DUALSTACK_ENDPOINT, which mean what they mean to every SDK
// (https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html).
// An endpoint without TLS is refused, but on a loopback host. AWS_CA_BUNDLE,
// which other SDKs read, is refused unless Go's SSL_CERT_FILE is set, too
// (https://pkg.go.dev/crypto/x509#SystemCertPool).
// The error names all that are missing or wrong, and echoes none.
func ReadAWSConfig(getenv func(string) string) (AWSConfig, error) {
	var problems []error
	first := func(names ...string) string {
		for _, name := range names {
			if s := getenv(name); s != "" {
				return s
			}
		}
		return ""
	}
	required := func(names ...string) string {
		s := first(names...)
		if s == "" {
			problems = append(problems, fmt.Errorf("%s: not set; Lambda sets it for every function", names[0]))
		}
		return s
	}
	flag := func(name string) bool {
		switch strings.ToLower(first(name)) {
		case "true":
			return true
		case "", "false":
			return false
		}
		problems = append(problems, fmt.Errorf("%s: neither true nor false", name))
		return false
	}

	c := AWSConfig{
		region:          required("AWS_REGION", "AWS_DEFAULT_REGION"),
		accessKeyID:     secret.NewText(required("AWS_ACCESS_KEY_ID")),
		secretAccessKey: secret.NewText(required("AWS_SECRET_ACCESS_KEY")),
		sessionToken:    secret.NewText(first("AWS_SESSION_TOKEN")),
		fips:            flag("AWS_USE_FIPS_ENDPOINT"),
		dualStack:       flag("AWS_USE_DUALSTACK_ENDPOINT"),
	}
	if !flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
		c.endpoint = first("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL")
	}
	if c.endpoint != "" && !IsSafeEndpoint(c.endpoint) {
		problems = append(problems, errors.New("AWS_ENDPOINT_URL_SECRETS_MANAGER or AWS_ENDPOINT_URL: not a URL with https:// (plain http is for a loopback host only)"))
	}
	if c.endpoint != "" && (c.fips || c.dualStack) {
		// The SDK would say so only at the first call, and at each.
		problems = append(problems, errors.New("AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT: no SDK takes them together with AWS_ENDPOINT_URL_SECRETS_MANAGER or AWS_ENDPOINT_URL; give the URL of the endpoint that you mean"))
	}
	if getenv("AWS_CA_BUNDLE") != "" && getenv("SSL_CERT_FILE") == "" {
		problems = append(problems, errors.New("AWS_CA_BUNDLE: not read by this function; set SSL_CERT_FILE to the same file, which is read for Panther, too"))
	}
	return c, errors.Join(problems...)
}

// IsSafeEndpoint reports whether tokens may go to the endpoint: by TLS, or
// within the host.
func IsSafeEndpoint(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && addr.IsLoopback())
}

// NewClient makes a client of Secrets Manager. It adds userAgent, a name and a
// version with a slash between them, to the SDK's User-Agent.
func NewClient(c AWSConfig, userAgent string, options ...func(*sdk.Options)) *sdk.Client {
	name, version, _ := strings.Cut(userAgent, "/") // the SDK would turn the slash into a dash
	o := sdk.Options{
		Region: c.region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{
				AccessKeyID:     c.accessKeyID.Reveal(),
				SecretAccessKey: c.secretAccessKey.Reveal(),
				SessionToken:    c.sessionToken.Reveal(),
				Source:          "environment",
			}, nil
		}),
		// The SDK's three attempts have to fit into the time that rotation gives
		// a call, which has retries of its own around them. The default lets one
		// pause take 20 s.
		Retryer:    retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Second }),
		APIOptions: []func(*smithymiddleware.Stack) error{middleware.AddUserAgentKeyValue(name, version), reportLastAnswer},
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(network.Configure),
	}
	if c.endpoint != "" {
		o.BaseEndpoint = &c.endpoint
	}
	if c.fips {
		o.EndpointOptions.UseFIPSEndpoint = aws.FIPSEndpointStateEnabled
	}
	if c.dualStack {
		o.EndpointOptions.UseDualStackEndpoint = aws.DualStackEndpointStateEnabled
	}
	return sdk.New(o, options...)
}
