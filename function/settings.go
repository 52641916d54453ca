package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"panther-token-rotation/internal/panther"
	"panther-token-rotation/internal/recoverylog"
	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
	"panther-token-rotation/internal/secretsmanager"
)

// config is what the settings mean. It is read once, at start.
type config struct {
	aws          secretsmanager.AWSConfig
	functionName string

	pantherURL         *url.URL
	keys               secret.Keys
	checkSecrets       []string // checked daily
	propagationTimeout time.Duration
	recipient          age.Recipient // nil: nothing is sealed
	logLevel           slog.Level
}

// setting is one environment variable of the function.
type setting struct {
	name string
	// fallback is used where the variable is not set; empty if there is none.
	fallback string
	meaning  string // as in the README's table
	// read checks the value and keeps it. It is not called without a value.
	read func(c *config, value string) error
}

// settings is the table of settings that are the function's own. The README
// and both deployments are tested against it. Those of the AWS SDKs are in
// [secretsmanager.ReadAWSConfig].
var settings = []setting{
	{"PANTHER_API_URL", "", "your Panther's API: the API URL with or without its path, the console's address without a path, or the bare domain; `https` only, except for a loopback host", readPantherURL},
	{"SECRET_TOKEN_KEY", "PANTHER_API_TOKEN", "the token's key in a secret that is a JSON object", func(c *config, value string) error {
		c.keys.Token = value
		return checkKey(value)
	}},
	{"SECRET_STANDBY_KEY", "", "the standby token's key in a secret with two tokens; empty means the value of `SECRET_TOKEN_KEY` followed by `_STANDBY`", func(c *config, value string) error {
		c.keys.Standby = value
		return checkKey(value)
	}},
	{"PROPAGATION_TIMEOUT", "3m", "how long `testSecret` waits for a new token to start working, such as `90s` or `3m`; from `1s` to `14m`", readPropagationTimeout},
	{"RECOVERY_RECIPIENT", "", "an age public key (`age1…` or the post-quantum `age1pq1…`, from `age-keygen -o key.txt`) to which each new value is sealed, in the log, before it is stored", readRecipient},
	{"CHECK_SECRETS", "", "names or ARNs of the secrets that the daily check looks at, separated by commas", readCheckSecrets},
	{"LOG_LEVEL", "info", "`debug`, `info`, `warn` or `error`", readLogLevel},
}

// errNoPantherURL is the problem of the one setting that has no fallback and is required.
var errNoPantherURL = errors.New("not set; give the API URL of your Panther instance, such as https://api.acme.runpanther.net/public/graphql")

// readConfig reads the settings and names every problem at once. It does not
// echo invalid values, since people paste tokens into the wrong setting.
func readConfig(getenv func(string) string) (config, error) {
	c := config{functionName: getenv("AWS_LAMBDA_FUNCTION_NAME")}
	var problems []error
	var err error
	if c.aws, err = secretsmanager.ReadAWSConfig(getenv); err != nil {
		problems = append(problems, err)
	}
	if strings.Contains(getenv("GODEBUG"), "http2debug") {
		problems = append(problems, errors.New("GODEBUG: http2debug makes net/http log headers and bodies, including tokens; remove it"))
	}
	for _, s := range settings {
		value := cmp.Or(getenv(s.name), s.fallback)
		if value == "" {
			continue
		}
		if err := s.read(&c, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	if c.keys.Standby == "" {
		c.keys.Standby = c.keys.Token + "_STANDBY"
	}
	if c.keys.Standby == c.keys.Token {
		problems = append(problems, errors.New("SECRET_STANDBY_KEY: the same key as SECRET_TOKEN_KEY"))
	}
	if getenv("PANTHER_API_URL") == "" {
		problems = append(problems, fmt.Errorf("PANTHER_API_URL: %w", errNoPantherURL))
	}
	return c, errors.Join(problems...)
}

func readPantherURL(c *config, value string) (err error) {
	c.pantherURL, err = panther.ParseURL(value)
	return err
}

// checkKey refuses a key that no secret has: then one with two tokens would
// count as one with a single token, and the rotation replace what readers use.
func checkKey(key string) error {
	if strings.TrimSpace(key) != key {
		return errors.New("white space at the beginning or the end")
	}
	return nil
}

const (
	// longestPropagation is what Lambda's longest timeout, 15 minutes, leaves for waiting.
	longestPropagation = 14 * time.Minute
	// shortestPropagation leaves time to ask at all.
	shortestPropagation = time.Second
)

func readPropagationTimeout(c *config, value string) error {
	d, err := time.ParseDuration(value)
	if err != nil || d < shortestPropagation || d > longestPropagation {
		return errors.New("not a duration from 1s to 14m, such as 90s or 3m")
	}
	c.propagationTimeout = d
	return nil
}

func readRecipient(c *config, value string) (err error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil
	}
	c.recipient, err = recoverylog.ParseRecipient(value)
	return err
}

// isSecret reports whether s is the name or the ARN of a secret. An expression
// for it, compiled at every start, would double the time of a cold start.
func isSecret(s string) bool {
	const longestName = 512
	if !rotation.IsName(s) {
		return false
	}
	if !strings.Contains(s, ":") {
		return len(s) <= longestName
	}
	parts := strings.Split(s, ":") // arn:<partition>:secretsmanager:<region>:<account>:secret:<name>
	if len(parts) != 7 || slices.Contains(parts, "") {
		return false
	}
	account := parts[4]
	return parts[0] == "arn" && parts[2] == "secretsmanager" && parts[5] == "secret" &&
		len(account) == 12 && strings.Trim(account, "0123456789") == ""
}

func readCheckSecrets(c *config, value string) error {
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		switch {
		case !isSecret(name):
			return errors.New("not names or ARNs of secrets, separated by commas")
		case slices.Contains(c.checkSecrets, name):
			return errors.New("lists a secret twice")
		}
		c.checkSecrets = append(c.checkSecrets, name)
	}
	return nil
}

func readLogLevel(c *config, value string) error {
	if err := c.logLevel.UnmarshalText([]byte(value)); err != nil || strings.ContainsAny(value, "+-") {
		return errors.New("not one of debug, info, warn, error")
	}
	return nil
}
