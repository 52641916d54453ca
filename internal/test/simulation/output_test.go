package simulation

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"testing"

	"panther-token-rotation/internal/rotation"
	"panther-token-rotation/internal/secret"
)

// TestOutputIsSwept shows that a part of a token is found wherever the function
// writes it, and base64 of one as well.
func TestOutputIsSwept(t *testing.T) {
	token := (&pantherModel{}).living().value
	writes := map[string]func(w *world, text string){
		"in a message":                  func(w *world, text string) { w.log.Debug("an answer: " + text + "!") },
		"as an attribute":               func(w *world, text string) { w.log.Info("an answer", "attempt", 1, "answer", text) },
		"as an attribute of the logger": func(w *world, text string) { w.log.With("answer", text).Info("an answer") },
		"as a key":                      func(w *world, text string) { w.log.Info("an answer", text, 1) },
		"as a group":                    func(w *world, text string) { w.log.WithGroup(text).Info("an answer") },
		"within a group":                func(w *world, text string) { w.log.Info("an answer", slog.Group("its", "body", text)) },
		"in an error":                   func(w *world, text string) { w.log.Info("an answer", "error", errors.New("got "+text)) },
		"in a struct":                   func(w *world, text string) { w.log.Info("an answer", "body", struct{ Body string }{text}) },
		"in the ARN of a measurement":   func(w *world, text string) { w.output.Measure(rotation.Measurement{SecretARN: text}) },
		"as the step of a measurement": func(w *world, text string) {
			w.output.Measure(rotation.Measurement{Step: rotation.Step(text)})
		},
		"as a kind that is measured": func(w *world, text string) {
			w.output.Measure(rotation.Measurement{Kind: rotation.Kind(text)})
		},
	}
	for where, write := range writes {
		t.Run(where, func(t *testing.T) {
			for from := range len(token) - 3 {
				w := newWriter()
				write(w, token[from:from+4])
				wantViolation(t, w, "a token or a part of one is in the output")
			}
			for from := range len(token) - 11 {
				for _, before := range []string{"", "B", "Be"} {
					w := newWriter()
					write(w, base64.StdEncoding.EncodeToString([]byte(before+token[from:from+12])))
					wantViolation(t, w, "base64")
				}
			}
			w := newWriter()
			write(w, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:panther-0")
			if len(w.violations) > 0 {
				t.Errorf("without a token: %s", w.violations[0])
			}
		})
	}
	t.Run("but not one that cannot be printed", func(t *testing.T) {
		w := newWriter()
		w.log.Info("an answer", "token", secret.NewText(token))
		if len(w.violations) > 0 {
			t.Error(w.violations[0])
		}
	})
}

// newWriter makes a world of nothing but output.
func newWriter() *world {
	w := &world{}
	w.output = &output{w}
	w.log = slog.New(w.output)
	return w
}
