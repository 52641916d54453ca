package recoverylog_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"panther-token-rotation/internal/recoverylog"
	"panther-token-rotation/internal/secret"
)

const (
	arn   = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:panther-AbCdEf"
	token = "Zk3pQ8vR1xW6yT9bN4mC7hJ2"
)

func TestTheRecoveryKeyOpensTheBlockInTheLog(t *testing.T) {
	x25519, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for kind, key := range map[string]struct {
		public  string
		private age.Identity
	}{
		"X25519":       {x25519.Recipient().String(), x25519},
		"post-quantum": {hybrid.Recipient().String(), hybrid},
	} {
		recipient, err := recoverylog.ParseRecipient(key.public)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"plain":                token,
			"a newline at the end": token + "\n",
			"white space around":   " \t" + token + "\r\n\r\n",
			"JSON":                 "{\n  \"PANTHER_API_TOKEN\": \"" + token + "\",\n  \"note\": \"it's \\\"quoted\\\" <&> é\"\n}\n",
			"the largest":          strings.Repeat(token+"\n", 65536/(len(token)+1)),
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				var out bytes.Buffer
				log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelError}))
				if err := recoverylog.New(log, recipient).Seal(arn, "v1", secret.NewText(value)); err != nil {
					t.Fatal(err)
				}

				if strings.Count(out.String(), "\n") != 1 || !strings.HasSuffix(out.String(), "\n") {
					t.Fatalf("not one log line:\n%s", out.String())
				}
				var line struct{ Level, Secret, Version, Sealed, Restore string }
				if err := json.Unmarshal(out.Bytes(), &line); err != nil {
					t.Fatal(err)
				}
				if line.Secret != arn || line.Version != "v1" || line.Restore != recoverylog.RestoreCommand(arn) {
					t.Errorf("the line does not tell where the value belongs: %+v", line)
				}
				opened, err := age.Decrypt(armor.NewReader(strings.NewReader(line.Sealed)), key.private)
				if err != nil {
					t.Fatal(err)
				}
				restored, err := io.ReadAll(opened)
				if err != nil || string(restored) != value {
					t.Errorf("restored %q (%v), want %q", restored, err, value)
				}

				for form, s := range map[string]string{
					"plain":       token,
					"base64":      base64.RawStdEncoding.EncodeToString([]byte(token)),
					"URL-escaped": url.QueryEscape(value),
					"JSON":        quoted(t, value),
				} {
					for i := 0; i+8 <= min(len(s), 200); i++ {
						if strings.Contains(out.String(), s[i:i+8]) {
							t.Errorf("%q of the value is in the log, %s", s[i:i+8], form)
							break
						}
					}
				}
			})
		}
	}
}

func quoted(t *testing.T, s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestOnlyThePrivateKeyOpensTheBlock(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := recoverylog.New(slog.New(slog.NewJSONHandler(&out, nil)), key.Recipient()).Seal(arn, "v1", secret.NewText(token)); err != nil {
		t.Fatal(err)
	}
	var line struct{ Sealed string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if _, err := age.Decrypt(armor.NewReader(strings.NewReader(line.Sealed)), other); err == nil {
		t.Error("another key opened the block")
	}
}

func TestARecipientThatNothingCanBeSealedToIsNotEchoed(t *testing.T) {
	x25519, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"nothing":                    "",
		"a private key":              x25519.String(),
		"a private key, lower case":  strings.ToLower(x25519.String()),
		"a post-quantum private key": hybrid.String(),
		"one character less":         strings.TrimSuffix(x25519.Recipient().String(), x25519.Recipient().String()[61:]),
		"a character changed":        strings.Replace(x25519.Recipient().String(), "age1", "age1q", 1),
		"half a post-quantum key":    hybrid.Recipient().String()[:900],
		"a plugin's":                 "age1yubikey1q2w2u4n5ge2a8q3r7q4l8d5k6m8t9r0s2x3c4v5b6n7m8l9k0j1h2g",
		"an SSH key":                 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJmZpQ8vR1xW6yT9bN4mC7hJ2Zk3pQ8vR1xW6yT9bN4m user",
		"a token":                    token,
		"two keys":                   x25519.Recipient().String() + "," + x25519.Recipient().String(),
	} {
		t.Run(name, func(t *testing.T) {
			recipient, err := recoverylog.ParseRecipient(s)
			if !errors.Is(err, recoverylog.ErrRecipient) || recipient != nil {
				t.Fatalf("got %v, %v; want ErrRecipient", recipient, err)
			}
			for i := 0; i+8 <= len(s); i++ {
				if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(s[i:i+8])) {
					t.Fatalf("the error echoes %q", s[i:i+8])
				}
			}
		})
	}
}

func TestAFailedSealSaysNothingOfTheValue(t *testing.T) {
	var out bytes.Buffer
	log := recoverylog.New(slog.New(slog.NewJSONHandler(&out, nil)), broken{})
	err := log.Seal(arn, "v1", secret.NewText(token))
	if err == nil {
		t.Fatal("sealed to a recipient that does not work")
	}
	if strings.Contains(err.Error(), token) || out.Len() > 0 {
		t.Errorf("error %v, log %s", err, out.String())
	}
}

// broken is a recipient that fails with a secret on its lips.
type broken struct{}

func (broken) Wrap([]byte) ([]*age.Stanza, error) { return nil, errors.New("cannot wrap " + token) }

func TestTheRestoreCommandNamesTheSecret(t *testing.T) {
	command := recoverylog.RestoreCommand(arn)
	for _, part := range []string{"age -d -i key.txt", "aws secretsmanager put-secret-value", "--secret-id '" + arn + "'", "--secret-string file:///dev/stdin"} {
		if !strings.Contains(command, part) {
			t.Errorf("%q is not in: %s", part, command)
		}
	}
}
