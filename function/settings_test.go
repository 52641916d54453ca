package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// environment is what Lambda and a minimal deployment set.
func environment(settings map[string]string) func(string) string {
	all := map[string]string{
		"AWS_REGION":               "eu-west-1",
		"AWS_ACCESS_KEY_ID":        "AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY":    "secret-access-key",
		"AWS_SESSION_TOKEN":        "session-token",
		"AWS_LAMBDA_FUNCTION_NAME": "rotator",
		"PANTHER_API_URL":          "acme.runpanther.net",
	}
	for name, value := range settings {
		all[name] = value
	}
	return func(name string) string { return all[name] }
}

func TestSettingsThatAreNotSetHaveTheDocumentedDefaults(t *testing.T) {
	c, err := readConfig(environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.pantherURL.String(); got != "https://api.acme.runpanther.net/public/graphql" {
		t.Errorf("Panther's API is expected at %s", got)
	}
	if c.keys.Token != "PANTHER_API_TOKEN" {
		t.Errorf("the token is looked for under %s", c.keys.Token)
	}
	if c.propagationTimeout != 3*time.Minute {
		t.Errorf("the propagation timeout is %v", c.propagationTimeout)
	}
	if c.recipient != nil {
		t.Error("values are sealed though there is no recipient")
	}
	if c.logLevel != slog.LevelInfo {
		t.Errorf("the log level is %v", c.logLevel)
	}
	if c.functionName != "rotator" {
		t.Errorf("the function is called %q", c.functionName)
	}
}

func TestSettingsTakeEffect(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(environment(map[string]string{
		"SECRET_TOKEN_KEY":    "panther.token",
		"PROPAGATION_TIMEOUT": "1m30s",
		"RECOVERY_RECIPIENT":  " " + key.Recipient().String() + "\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if c.keys.Token != "panther.token" || c.propagationTimeout != 90*time.Second || c.recipient == nil {
		t.Errorf("settings were lost: key %q, timeout %v, recipient %v", c.keys.Token, c.propagationTimeout, c.recipient)
	}
}

func TestLogLevelInAnySpelling(t *testing.T) {
	for spelling, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "DEBUG": slog.LevelDebug,
		"info": slog.LevelInfo, "Info": slog.LevelInfo,
		"warn": slog.LevelWarn, "WARN": slog.LevelWarn,
		"error": slog.LevelError, "Error": slog.LevelError,
	} {
		c, err := readConfig(environment(map[string]string{"LOG_LEVEL": spelling}))
		if err != nil || c.logLevel != want {
			t.Errorf("LOG_LEVEL %s is %v, %v; want %v", spelling, c.logLevel, err, want)
		}
	}
}

func TestPropagationTimeoutStaysWithinWhatLambdaAllows(t *testing.T) {
	for spelling, fine := range map[string]bool{
		"1s": true, "999ms": false, "1ns": false, " 3m": false, "3m": true, "14m": true, "14m1s": false, "0": false, "0s": false, "-3m": false, "180": false, "three minutes": false,
	} {
		_, err := readConfig(environment(map[string]string{"PROPAGATION_TIMEOUT": spelling}))
		if (err == nil) != fine {
			t.Errorf("PROPAGATION_TIMEOUT %s: %v", spelling, err)
		}
	}
}

// takes reports whether the function starts with this setting, and that its
// error names the setting and does not echo it.
func takes(t *testing.T, name, value string) bool {
	t.Helper()
	_, err := readConfig(environment(map[string]string{name: value}))
	if err != nil && (!strings.Contains(err.Error(), name) || len(value) > 9 && strings.Contains(err.Error(), value)) {
		t.Errorf("the error of %s is %v", name, err)
	}
	return err == nil
}

func TestAKeyThatNoSecretHasIsRefused(t *testing.T) {
	for key, fine := range map[string]bool{
		"token": true, "panther token": true, "STANDBY ": false, " STANDBY": false, "STANDBY\n": false, "\u00a0STANDBY": false, " ": false,
	} {
		for _, name := range []string{"SECRET_TOKEN_KEY", "SECRET_STANDBY_KEY"} {
			if got := takes(t, name, key); got != fine {
				t.Errorf("%s=%q is taken: %v", name, key, got)
			}
		}
	}
	if takes(t, "SECRET_STANDBY_KEY", "PANTHER_API_TOKEN") {
		t.Error("both tokens have the same key")
	}
}

func TestOnlySecretsAreChecked(t *testing.T) {
	const arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
	for value, fine := range map[string]bool{
		"": true, ",": true, "acme/panther": true, "acme/panther,": true, " acme/a , acme/b ": true, arn + "acme/panther-AbCdEf": true,
		"arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:a-AbCdEf,acme/a": true,
		"acme/a,acme/a": false, "acme/a, acme/a": false, arn + "a-AbCdEf," + arn + "a-AbCdEf": false,
		"arn:aws:iam::123456789012:role/rotation": false, "arn:aws:ssm:eu-west-1:123456789012:parameter/a": false,
		"arn:aws:secretsmanager:eu-west-1:123456789012:a": false, "arn:aws:secretsmanager:eu-west-1:12:secret:a": false, arn: false,
		"acme:panther": false, "acme panther": false, "-acme": false, "acme/*": false, "acme;b": false, strings.Repeat("a", 513): false,
	} {
		if got := takes(t, "CHECK_SECRETS", value); got != fine {
			t.Errorf("CHECK_SECRETS=%q is taken: %v", value, got)
		}
	}
}

func TestEveryProblemIsNamedAtOnce(t *testing.T) {
	_, err := readConfig(environment(map[string]string{
		"AWS_REGION":                          "",
		"AWS_ACCESS_KEY_ID":                   "",
		"AWS_SECRET_ACCESS_KEY":               "",
		"AWS_USE_FIPS_ENDPOINT":               "perhaps",
		"AWS_USE_DUALSTACK_ENDPOINT":          "perhaps",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "perhaps",
		"AWS_ENDPOINT_URL":                    "perhaps",
		"PANTHER_API_URL":                     "",
		"PROPAGATION_TIMEOUT":                 "perhaps",
		"RECOVERY_RECIPIENT":                  "perhaps",
		"LOG_LEVEL":                           "perhaps",
		"GODEBUG":                             "http2client=1,http2debug=2",
	}))
	if err == nil {
		t.Fatal("wrong settings were taken")
	}
	for _, name := range []string{
		"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_ENDPOINT_URL", "PANTHER_API_URL", "PROPAGATION_TIMEOUT", "RECOVERY_RECIPIENT", "LOG_LEVEL",
		"GODEBUG",
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+name) && !strings.Contains(err.Error(), " "+name+":") {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
}

func TestAWrongSettingIsNotEchoed(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	token := "Zk3pQ8vR1xW6yT9bN4mC7hJ2"
	for _, wrong := range []struct{ name, value string }{
		{"PANTHER_API_URL", token},
		{"PANTHER_API_URL", "https://" + token},
		{"PANTHER_API_URL", "a1." + token},
		{"PANTHER_API_URL", token + "." + token},
		{"SECRET_TOKEN_KEY", token + " "},
		{"SECRET_STANDBY_KEY", token + "\n"},
		{"CHECK_SECRETS", token + "," + token},
		{"CHECK_SECRETS", token + "=:" + token},
		{"PANTHER_API_URL", "https://" + token + "@acme.runpanther.net"},
		{"PANTHER_API_URL", "https://acme.runpanther.net/?key=" + token},
		{"PANTHER_API_URL", "http://" + token + ".example"},
		{"PANTHER_API_URL", token + "\n" + token},
		{"PANTHER_API_URL", "https://acme.runpanther.net:" + token},
		{"PROPAGATION_TIMEOUT", token},
		{"LOG_LEVEL", token},
		{"RECOVERY_RECIPIENT", token},
		{"RECOVERY_RECIPIENT", "age1" + token},
		{"RECOVERY_RECIPIENT", "age1pq1" + token},
		{"RECOVERY_RECIPIENT", key.String()},
		{"RECOVERY_RECIPIENT", strings.ToLower(key.String())},
		{"RECOVERY_RECIPIENT", hybrid.String()},
		{"AWS_ENDPOINT_URL", token},
		{"AWS_ENDPOINT_URL", "https://acme.example:" + token},
		{"AWS_ENDPOINT_URL_SECRETS_MANAGER", token},
		{"AWS_USE_FIPS_ENDPOINT", token},
		{"AWS_USE_DUALSTACK_ENDPOINT", token},
		{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", token},
	} {
		_, err := readConfig(environment(map[string]string{wrong.name: wrong.value}))
		if err == nil {
			t.Errorf("%s was taken though it is wrong: %.20s…", wrong.name, wrong.value)
			continue
		}
		if !strings.Contains(err.Error(), wrong.name) {
			t.Errorf("%s is not named in: %v", wrong.name, err)
		}
		// What is ours to say may well begin like the setting: age1…, https://acme.
		confidential := wrong.value
		if strings.Contains(confidential, token) {
			confidential = token
		}
		for i := 0; i+8 <= len(confidential); i++ {
			if part := confidential[i : i+8]; strings.Contains(strings.ToLower(err.Error()), strings.ToLower(part)) {
				t.Errorf("the error of %s echoes %q: %v", wrong.name, part, err)
				break
			}
		}
	}
}
