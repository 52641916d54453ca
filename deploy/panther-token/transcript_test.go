package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
)

var update = flag.Bool("update", false, "write the transcripts in testdata")

// TestTranscripts: what each command says, when it succeeds and when it fails.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	for command, tc := range map[string]struct {
		tokens int
		play   func(d *desk) []said
	}{
		"status": {2, func(d *desk) []said {
			healthy := d.run("", "status", name)
			d.on("token-dies")
			return []said{healthy, d.run("", "status", name), d.run("", "status", name, "--json"), d.run("", "status", "acme/other")}
		}},
		"rotate": {2, func(d *desk) []said {
			said := []said{d.run("", "rotate", name), d.run("", "rotate", name), d.run("", "rotate", name, "--drop-pending")}
			d.Panther.Revoke(d.token(standby))
			return append(said, d.run("", "rotate", name, "--yes", "--timeout", "8s"))
		}},
		"put": {1, func(d *desk) []said {
			return []said{
				d.run(d.Panther.NewToken("new")+"\n", "put", name), d.run("never-made\n", "put", name),
				d.run(d.Panther.NewToken("other")+"\n", "put", name, "--standby"), d.run(d.token(active)+"\n", "put", name),
			}
		}},
		"restore": {1, func(d *desk) []said {
			args := []string{"restore", name, "--identity", d.identity, "--sealed", d.seal(d.Panther.NewToken("sealed"))}
			alive := d.run("", args...)
			d.on("token-dies")
			return []said{alive, d.run("", args...), d.run("y\n", args...), d.run("", "restore", name, "--identity", "/none")}
		}},
		"init": {0, func(d *desk) []said {
			tokens := d.Panther.NewToken("first") + "\n" + d.Panther.NewToken("second") + "\n"
			args := []string{"init", name, "--function", "panther-token-rotation"}
			return []said{d.run("never-made\n", args...), d.run(tokens, args...), d.run(tokens, args...)}
		}},
	} {
		t.Run(command, func(t *testing.T) {
			d := open(t, tc.tokens)
			var got strings.Builder
			for _, s := range tc.play(d) {
				got.WriteString(s.transcript())
			}
			file := filepath.Join("testdata", command+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("it said:\n%s\nwant:\n%s\nIf this is right: go test ./deploy/panther-token -run Transcripts -update", got.String(), want)
			}
		})
	}
}

// seal returns a file with a value that is sealed to the recovery key.
func (d *desk) seal(token string) string {
	d.t.Helper()
	key, err := os.ReadFile(d.identity)
	if err != nil {
		d.t.Fatal(err)
	}
	identity, err := age.ParseX25519Identity(string(key))
	if err != nil {
		d.t.Fatal(err)
	}
	var sealed bytes.Buffer
	armored := armor.NewWriter(&sealed)
	w, err := age.Encrypt(armored, identity.Recipient())
	if err != nil {
		d.t.Fatal(err)
	}
	d.must(w.Write([]byte(`{"` + active + `": "` + token + `"}`)))
	d.must(nil, w.Close())
	d.must(nil, armored.Close())
	file := filepath.Join(filepath.Dir(d.identity), "sealed.txt")
	d.must(nil, os.WriteFile(file, sealed.Bytes(), 0o600))
	return file
}

// varying is what differs from run to run, and what stands for it.
var varying = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?m)^(waiting for the function|\w+Secret (done|failed; waiting for the next attempt)) …\n`), ""},
	{regexp.MustCompile(`/\S*/((key|sealed)\.txt)`), "$1"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "VERSION"},
	{regexp.MustCompile(`acme/panther-\w{6}`), "acme/panther-SUFFIX"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?`), "DATE"},
	{regexp.MustCompile(`(just now|\d+ (min|h) ago)`), "AGO"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(m?s)\b`), "DURATION"},
	{regexp.MustCompile(`no such file or directory|The system cannot find the path specified\.`), "NOT FOUND"},
}

// transcript is what a person sees, without what differs from run to run.
func (s said) transcript() string {
	text := s.String()
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	return text
}
