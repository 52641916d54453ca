package secret_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"panther-token-rotation/internal/secret"
)

var keys = secret.Keys{Token: "PANTHER_API_TOKEN", Standby: "PANTHER_API_TOKEN_STANDBY"}

func TestOnlyTheTokenChanges(t *testing.T) {
	for name, tc := range map[string]struct{ text, token, next string }{
		"plain":                       {"old", "old", "new"},
		"plain, newline from a shell": {" old\r\n", "old", " new\r\n"},
		"object":                      {`{"PANTHER_API_TOKEN":"old"}`, "old", `{"PANTHER_API_TOKEN":"new"}`},
		"order, spacing, numbers":     {"\n{ \"z\" : 1.50e+03,\n\"PANTHER_API_TOKEN\"\t: \"old\" , \"a\":[{}, null]}\n", "old", "\n{ \"z\" : 1.50e+03,\n\"PANTHER_API_TOKEN\"\t: \"new\" , \"a\":[{}, null]}\n"},
		"same key deeper":             {`{"x":{"PANTHER_API_TOKEN":"no"},"PANTHER_API_TOKEN":"old"}`, "old", `{"x":{"PANTHER_API_TOKEN":"no"},"PANTHER_API_TOKEN":"new"}`},
		"escaped key and token":       {`{"PANTHER\u005fAPI_TOKEN":"o\u006cd","u":"\u00e9/\/"}`, "old", `{"PANTHER\u005fAPI_TOKEN":"new","u":"\u00e9/\/"}`},
		"other key twice":             {`{"a":1,"a":2,"PANTHER_API_TOKEN":"old"}`, "old", `{"a":1,"a":2,"PANTHER_API_TOKEN":"new"}`},
		"digits alone":                {"12345678", "12345678", "new"},
		"other JSON words":            {"true", "true", "new"},
		"a mark in another value":     {"{\"a\":\"\ufeff\",\"PANTHER_API_TOKEN\":\"old\"}", "old", "{\"a\":\"\ufeff\",\"PANTHER_API_TOKEN\":\"new\"}"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := secret.ParseValue(secret.NewText(tc.text), keys)
			if err != nil {
				t.Fatal(err)
			}
			if got := v.Active().Reveal(); got != tc.token {
				t.Errorf("token %q, want %q", got, tc.token)
			}
			if got := v.WithTokens(secret.NewText("new"), secret.Text{}).Reveal(); got != tc.next {
				t.Errorf("next value %q, want %q", got, tc.next)
			}
		})
	}
}

func TestAKeyWithDotsIsAKey(t *testing.T) {
	v, err := secret.ParseValue(secret.NewText(`{"a":{"b":"no"},"a.b":"yes"}`), secret.Keys{Token: "a.b"})
	if err != nil || v.Active().Reveal() != "yes" {
		t.Fatalf("got %v, want the token under a.b", err)
	}
}

func TestAnyTokenCanBeStored(t *testing.T) {
	v, err := secret.ParseValue(secret.NewText(`{"PANTHER_API_TOKEN":"old"}`), keys)
	if err != nil {
		t.Fatal(err)
	}
	odd := "a\"b\\c<&>\n\u2028é"
	var decoded map[string]string
	if err := json.Unmarshal([]byte(v.WithTokens(secret.NewText(odd), secret.Text{}).Reveal()), &decoded); err != nil {
		t.Fatal(err)
	}
	if decoded[keys.Token] != odd {
		t.Errorf("stored %q, want %q", decoded[keys.Token], odd)
	}
}

func TestUnusableValues(t *testing.T) {
	const confidential = "hunter2"
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"empty":              {"", secret.ErrEmpty},
		"white space":        {" \n", secret.ErrEmpty},
		"broken object":      {`{"PANTHER_API_TOKEN":"hunter2"`, secret.ErrNotJSON},
		"object and more":    {`{"PANTHER_API_TOKEN":"hunter2"} hunter2`, secret.ErrNotJSON},
		"missing key":        {`{"token":"hunter2"}`, secret.ErrNoKey},
		"key in other case":  {`{"panther_api_token":"hunter2"}`, secret.ErrNoKey},
		"duplicate key":      {`{"PANTHER_API_TOKEN":"hunter2","PANTHER_API_TOKEN":"hunter2"}`, secret.ErrDuplicateKey},
		"escaped duplicate":  {`{"PANTHER_API_TOKEN":"hunter2","PANTHER\u005fAPI_TOKEN":"hunter2"}`, secret.ErrDuplicateKey},
		"number":             {`{"PANTHER_API_TOKEN":1}`, secret.ErrNotString},
		"null":               {`{"PANTHER_API_TOKEN":null}`, secret.ErrNotString},
		"empty token":        {`{"PANTHER_API_TOKEN":""}`, secret.ErrNotToken},
		"token with newline": {`{"PANTHER_API_TOKEN":"hunter2\n"}`, secret.ErrNotToken},
		"two words":          {"export hunter2", secret.ErrNotToken},

		"a string":                      {`"hunter2"`, secret.ErrNotObject},
		"a string, broken":              {`"hunter2`, secret.ErrNotObject},
		"an object encoded twice":       {`"{\"PANTHER_API_TOKEN\":\"hunter2\",\"DB_PASSWORD\":\"hunter2\"}"`, secret.ErrNotObject},
		"a list":                        {`[{"PANTHER_API_TOKEN":"hunter2"}]`, secret.ErrNotObject},
		"a list, behind white space":    {" \n[\"hunter2\"]", secret.ErrNotObject},
		"a string behind white space":   {"\t\"hunter2\"\n", secret.ErrNotObject},
		"an object in a shell's quotes": {`'{"PANTHER_API_TOKEN":"hunter2"}'`, secret.ErrNotObject},
		"a string in a shell's escapes": {`\"hunter2\"`, secret.ErrNotObject},

		"mark before the token":        {"\ufeffhunter2", secret.ErrBOM},
		"mark behind the token":        {"hunter2\ufeff\n", secret.ErrBOM},
		"mark behind white space":      {" \ufeff hunter2", secret.ErrBOM},
		"mark alone":                   {"\ufeff", secret.ErrBOM},
		"mark before an object":        {"\ufeff{\"PANTHER_API_TOKEN\":\"hunter2\"}", secret.ErrBOM},
		"mark read as Latin-1":         {"ï»¿{\"PANTHER_API_TOKEN\":\"hunter2\"}", secret.ErrBOM},
		"mark behind an object":        {"{\"PANTHER_API_TOKEN\":\"hunter2\"}\ufeff", secret.ErrBOM},
		"mark within an object":        {"{\ufeff\"PANTHER_API_TOKEN\":\"hunter2\"}", secret.ErrBOM},
		"mark before a string":         {"\ufeff\"hunter2\"", secret.ErrBOM},
		"mark in the token":            {"{\"PANTHER_API_TOKEN\":\"hunter2\ufeff\"}", secret.ErrBOM},
		"mark in the token, escaped":   {`{"PANTHER_API_TOKEN":"\ufeffhunter2"}`, secret.ErrBOM},
		"mark in the key":              {"{\"\ufeffPANTHER_API_TOKEN\":\"hunter2\"}", secret.ErrBOM},
		"mark in the key, escaped":     {`{"PANTHER_API_TOKEN\ufeff":"hunter2"}`, secret.ErrBOM},
		"mark in the standby":          {"{\"PANTHER_API_TOKEN\":\"hunter2\",\"PANTHER_API_TOKEN_STANDBY\":\"\ufeffhunter3\"}", secret.ErrBOM},
		"mark in the standby's key":    {"{\"PANTHER_API_TOKEN\":\"hunter2\",\"\ufeffPANTHER_API_TOKEN_STANDBY\":\"hunter3\"}", secret.ErrBOM},
		"mark in an object of no JSON": {"{\ufeff\"PANTHER_API_TOKEN\":hunter2}", secret.ErrNotJSON},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := secret.ParseValue(secret.NewText(tc.text), keys)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if strings.Contains(err.Error(), confidential) {
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
}

func TestRoomForALongerToken(t *testing.T) {
	pad := func(n int) secret.Text {
		return secret.NewText(`{"PANTHER_API_TOKEN":"old","pad":"` + strings.Repeat("x", n) + `"}`)
	}
	overhead := len(pad(0).Reveal()) - len("old")
	for name, tc := range map[string]struct {
		pad  int
		want error
	}{
		"just fits":          {secret.MaxBytes - overhead - 512, nil},
		"one byte too large": {secret.MaxBytes - overhead - 511, secret.ErrTooLarge},
	} {
		v, err := secret.ParseValue(pad(tc.pad), keys)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.CheckRoom(); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}

// FuzzOnlyTheTokenChanges holds the codec to its promise for any text: what
// it accepts differs from what it writes in the token alone, reads back as
// the new token, and stays the JSON that it was.
func FuzzOnlyTheTokenChanges(f *testing.F) {
	for _, s := range []string{
		"plain", " plain\n", `{"PANTHER_API_TOKEN":"t"}`, `{"a":1e5,"PANTHER_API_TOKEN" : "t\u0041","b":[1, {"c":null}]}`,
		`{"PANTHER_API_TOKEN":"t","PANTHER_API_TOKEN":"u"}`, `{"a":{"PANTHER_API_TOKEN":"t"}}`, "{", `"x"`, "", "\ufeff{}",
		"{\"\xff\":1,\"PANTHER_API_TOKEN\":\"t\"}",
	} {
		f.Add(s, "fresh")
	}
	f.Fuzz(func(t *testing.T, text, fresh string) {
		v, err := secret.ParseValue(secret.NewText(text), keys)
		if err != nil {
			return
		}
		old := v.Active()
		next := v.WithTokens(secret.NewText("fresh-token"), secret.Text{})
		again, err := secret.ParseValue(next, keys)
		if err != nil {
			t.Fatalf("the next value of %q is unusable: %v", text, err)
		}
		if again.Active().Reveal() != "fresh-token" {
			t.Fatalf("the next value of %q does not hold the new token", text)
		}
		back := again.WithTokens(old, secret.Text{})
		backAgain, err := secret.ParseValue(back, keys)
		if err != nil || !backAgain.Active().Equal(old) {
			t.Fatalf("%q does not survive going there and back: %v", text, err)
		}
		if !strings.Contains(text, `\`) && back.Reveal() != text {
			t.Fatalf("%q became %q", text, back.Reveal())
		}
		if json.Valid([]byte(text)) && strings.HasPrefix(strings.TrimSpace(text), "{") &&
			!json.Valid([]byte(v.WithTokens(secret.NewText(fresh), secret.Text{}).Reveal())) {
			t.Fatalf("with token %q, %q is no longer JSON", fresh, text)
		}
	})
}
