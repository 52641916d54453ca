package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"filippo.io/age"

	"panther-token-rotation/internal/panther"
	"panther-token-rotation/internal/recoverylog"
	"panther-token-rotation/internal/secretsmanager"
)

// config is what the function reads from its environment, once, at start.
type config struct {
	aws          secretsmanager.AWSConfig
	functionName string

	pantherURL         *url.URL
	tokenKey           string
	propagationTimeout time.Duration
	recipient          age.Recipient // nil: nothing is sealed
	logLevel           slog.Level
}

// readConfig reads the settings and names every problem at once. It does not
// echo what is wrong, since people paste tokens into the wrong setting.
func readConfig(getenv func(string) string) (config, error) {
	c := config{
		functionName:       getenv("AWS_LAMBDA_FUNCTION_NAME"),
		tokenKey:           "PANTHER_API_TOKEN",
		propagationTimeout: 3 * time.Minute,
		logLevel:           slog.LevelInfo,
	}
	var problems []error
	problem := func(name string, err error) { problems = append(problems, fmt.Errorf("%s: %w", name, err)) }

	var err error
	if c.aws, err = secretsmanager.ReadAWSConfig(getenv); err != nil {
		problems = append(problems, err)
	}
	if s := getenv("PANTHER_API_URL"); s == "" {
		problem("PANTHER_API_URL", errors.New("not set; give the API URL of your Panther instance, such as https://api.acme.runpanther.net/public/graphql"))
	} else if c.pantherURL, err = panther.ParseURL(s); err != nil {
		problem("PANTHER_API_URL", err)
	}
	if strings.Contains(getenv("GODEBUG"), "http2debug") {
		problem("GODEBUG", errors.New("http2debug has Go's own library log headers and answers, and tokens with them; take it away"))
	}
	if s := getenv("SECRET_TOKEN_KEY"); s != "" {
		c.tokenKey = s
	}
	if s := getenv("PROPAGATION_TIMEOUT"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 || d > 14*time.Minute {
			problem("PROPAGATION_TIMEOUT", errors.New("not a duration between 0 and 14m, such as 90s or 3m"))
		}
		c.propagationTimeout = d
	}
	if s := strings.TrimSpace(getenv("RECOVERY_RECIPIENT")); s != "" {
		if c.recipient, err = recoverylog.ParseRecipient(s); err != nil {
			problem("RECOVERY_RECIPIENT", err)
		}
	}
	switch strings.ToLower(getenv("LOG_LEVEL")) {
	case "", "info":
	case "debug":
		c.logLevel = slog.LevelDebug
	case "warn":
		c.logLevel = slog.LevelWarn
	case "error":
		c.logLevel = slog.LevelError
	default:
		problem("LOG_LEVEL", errors.New("not one of debug, info, warn, error"))
	}
	return c, errors.Join(problems...)
}
