package terminal

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRecordingShowsLinesWhenTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, picture bytes.Buffer
		term, recording := Record(&out)
		term.Printf("%s first\n\n", term.Good("✓"))
		time.Sleep(4 * time.Second)
		term.Printf("in ")
		term.Printf("<pieces> & %s", term.Bold("more"))
		term.Live("never")
		term.Printf("\n")
		if err := recording.WriteSVG(&picture, "make demo"); err != nil {
			t.Fatal(err)
		}

		if got, want := out.String(), "\x1b[32m✓\x1b[0m first\n\nin <pieces> & \x1b[1mmore\x1b[0m\n"; got != want {
			t.Errorf("passed on: %q, want %q", got, want)
		}
		for _, want := range []string{
			`make demo</text>`,
			`animation-delay:0.00s" x="16" y="47"><tspan class="c32">✓</tspan> first</text>`,
			`animation-delay:4.00s" x="16" y="83">in &lt;pieces&gt; &amp; <tspan class="c1">more</tspan></text>`,
		} {
			if !strings.Contains(picture.String(), want) {
				t.Errorf("the picture lacks %s:\n%s", want, picture.String())
			}
		}
		decoder := xml.NewDecoder(&picture)
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("the picture is not XML: %v", err)
			}
		}
	})
}
