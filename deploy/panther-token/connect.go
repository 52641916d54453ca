package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/spf13/cobra"

	"panther-token-rotation/internal/panther"
	"panther-token-rotation/internal/secret"
	"panther-token-rotation/internal/secretsmanager"
	"panther-token-rotation/internal/version"
)

// clients are those of AWS.
type clients struct {
	secrets *sdk.Client
	store   *secretsmanager.Store
	lambda  *lambda.Client
	logs    *cloudwatchlogs.Client
	local   bool // the endpoint is on this host: a sandbox
}

// target is a secret, with all that is needed to look at it.
type target struct {
	*tool
	clients
	name     string // as on the command line
	arn      string
	function function
	issuer   *panther.Issuer
	keys     secret.Keys
}

// function is the one that rotates the secret, as far as it can be read.
type function struct {
	arn, logGroup      string
	settings           map[string]string
	propagationTimeout time.Duration
	err                error // why the settings are not known
}

func (f function) seals() bool { return f.settings["RECOVERY_RECIPIENT"] != "" }

const userAgent = "panther-token/" + version.Number

func (t *tool) connect(ctx context.Context) (c clients, err error) {
	if strings.Contains(t.getenv("GODEBUG"), "http2debug") {
		return c, errors.New("GODEBUG: http2debug makes net/http print headers and bodies, including tokens; remove it")
	}
	var options []func(*config.LoadOptions) error
	if t.region != "" {
		options = append(options, config.WithRegion(t.region))
	}
	if t.profile != "" {
		options = append(options, config.WithSharedConfigProfile(t.profile))
	}
	cfg, err := t.awsConfig(ctx, options...)
	switch {
	case err != nil:
		return c, fmt.Errorf("cannot read the AWS configuration: %w", err)
	case cfg.Region == "":
		return c, errors.New("no AWS Region is set; give --region or set AWS_REGION")
	}
	if cfg.Credentials == nil {
		return c, errors.New("no AWS credentials are set")
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return c, fmt.Errorf("no valid AWS credentials (%w). Try: aws sts get-caller-identity", err)
	}
	cfg.ClientLogMode = 0 // it would log values
	c.secrets = sdk.NewFromConfig(cfg)
	c.store = secretsmanager.New(c.secrets)
	c.lambda = lambda.NewFromConfig(cfg)
	c.logs = cloudwatchlogs.NewFromConfig(cfg)
	for _, endpoint := range []*string{c.secrets.Options().BaseEndpoint, c.lambda.Options().BaseEndpoint, c.logs.Options().BaseEndpoint} {
		if endpoint != nil && !secretsmanager.IsSafeEndpoint(*endpoint) {
			return c, errors.New("the AWS endpoint is not a URL with https:// (plain http is for a loopback host only)")
		}
	}
	if endpoint := c.secrets.Options().BaseEndpoint; endpoint != nil {
		u, err := url.Parse(*endpoint)
		c.local = err == nil && isLoopback(u.Hostname())
	}
	return c, nil
}

// open finds the secret, its function and its Panther.
func (t *tool) open(ctx context.Context, name string) (*target, *sdk.DescribeSecretOutput, error) {
	c, err := t.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	s := &target{tool: t, clients: c, name: name}
	described, err := s.describe(ctx)
	if err != nil {
		return nil, nil, err
	}
	s.arn = aws.ToString(described.ARN)
	s.function = c.readFunction(ctx, aws.ToString(described.RotationLambdaARN))
	return s, described, s.findPanther(ctx)
}

// errNoSecret is the answer of Secrets Manager that the secret does not exist.
var errNoSecret = errors.New("the secret does not exist in this account and Region")

func (s *target) describe(ctx context.Context) (*sdk.DescribeSecretOutput, error) {
	out, err := s.secrets.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: &s.name})
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		return nil, errNoSecret
	}
	return out, secretsmanager.Classify("DescribeSecret", err)
}

const defaultPropagation = 3 * time.Minute

// readFunction reads the settings of a function. Its error is kept: with flags
// in their place, a command can go on.
func (c clients) readFunction(ctx context.Context, arn string) function {
	f := function{arn: arn, propagationTimeout: defaultPropagation}
	if arn == "" {
		f.err = errors.New("rotation was never set up for the secret, so no function is known")
		return f
	}
	out, err := c.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &arn})
	if err != nil {
		f.err = fmt.Errorf("cannot read the function's settings: %w", secretsmanager.Classify("GetFunctionConfiguration", err))
		return f
	}
	f.arn = cmp.Or(aws.ToString(out.FunctionArn), arn)
	f.logGroup = "/aws/lambda/" + aws.ToString(out.FunctionName)
	if out.LoggingConfig != nil {
		f.logGroup = cmp.Or(aws.ToString(out.LoggingConfig.LogGroup), f.logGroup)
	}
	if out.Environment != nil {
		f.settings = out.Environment.Variables
	}
	if d, err := time.ParseDuration(f.settings["PROPAGATION_TIMEOUT"]); err == nil {
		f.propagationTimeout = d
	}
	return f
}

// findPanther settles where tokens are sent and under which keys they are. What
// the operator says goes before the function's settings.
func (s *target) findPanther(ctx context.Context) error {
	setting := func(flag, variable string) string {
		return cmp.Or(flag, s.getenv(variable), s.function.settings[variable])
	}
	named := cmp.Or(s.url, s.getenv("PANTHER_API_URL")) != ""
	address := setting(s.url, "PANTHER_API_URL")
	if address == "" {
		return fmt.Errorf("the address of Panther is not known (%w). Give it with --url", cmp.Or(s.function.err, errors.New("the function has no PANTHER_API_URL")))
	}
	u, err := panther.ParseURL(address)
	if err != nil {
		return fmt.Errorf("the address of Panther is wrong: %w", err)
	}
	s.keys.Token = cmp.Or(setting(s.tokenKey, "SECRET_TOKEN_KEY"), "PANTHER_API_TOKEN")
	s.keys.Standby = cmp.Or(setting(s.standbyKey, "SECRET_STANDBY_KEY"), s.keys.Token+"_STANDBY")
	s.issuer = panther.New(u, userAgent)
	host := strings.ToLower(u.Hostname())
	if named || strings.HasSuffix(host, ".runpanther.net") || s.local && isLoopback(host) {
		return nil
	}
	return s.confirm(ctx, "--url "+u.String(), "The function's settings name %s, which is not below runpanther.net. Send tokens there?", u.Host)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// completeSecrets completes the names of secrets in the shell.
func (t *tool) completeSecrets(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(command.Context(), 3*time.Second)
	defer cancel()
	c, err := t.connect(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	if out, err := c.secrets.ListSecrets(ctx, &sdk.ListSecretsInput{MaxResults: aws.Int32(100)}); err == nil {
		for _, s := range out.SecretList {
			names = append(names, aws.ToString(s.Name))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
