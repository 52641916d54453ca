package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"panther-token-rotation/internal/secret"
)

func TestTextCannotPrintItself(t *testing.T) {
	const confidential = "hunter2-confidential"
	text := secret.NewText(confidential)
	type hidden struct {
		text  secret.Text
		value secret.Value
	}
	value, err := secret.ParseValue(text, secret.Keys{Token: "key", Standby: "standby"})
	if err != nil {
		t.Fatal(err)
	}
	nested := hidden{text, value}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+" "+verb+"\n", text, &text, nested, []any{text, value, &nested})
	}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("message", "text", text, "pointer", &text, "nested", nested, "value", value)
	}
	for _, v := range []any{text, &text, nested, map[string]any{"a": text}, value} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	func() {
		defer func() { fmt.Fprint(&out, recover()) }()
		panic(fmt.Errorf("failed: %v %v", text, nested))
	}()

	if printed := out.String(); strings.Contains(printed, "hunter2") || strings.Contains(printed, fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("the text printed itself:\n%s", printed)
	}
	if text.Reveal() != confidential {
		t.Error("the text is gone")
	}
}

func TestZeroTextIsEmpty(t *testing.T) {
	var zero secret.Text
	if !zero.IsEmpty() || !zero.Equal(secret.NewText("")) || zero.Equal(secret.NewText("x")) {
		t.Error("the zero Text is not the empty string")
	}
}
