package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// someRotation is a rotation as it is recorded, with a propagation of 10 s.
func someRotation() rotation {
	start := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	at := func(ms float64) time.Time { return start.Add(time.Duration(ms * float64(time.Millisecond))) }
	r := rotation{
		propagation: 10 * time.Second,
		coldStart:   4 * time.Millisecond,
		steps: []step{
			{"createSecret", at(0), at(10)}, {"setSecret", at(10), at(11.5)},
			{"testSecret", at(12), at(10512)}, {"finishSecret", at(10513), at(10515)},
		},
		died:    at(8),
		current: at(10514),
	}
	manager := func(step, operation string, ms float64) {
		r.calls = append(r.calls, call{step: step, service: toSecretsManager, operation: operation, from: at(ms), to: at(ms + .1)})
	}
	ask := func(step, operation string, ms float64, refused bool) {
		r.calls = append(r.calls, call{step: step, service: toPanther, operation: operation, from: at(ms), to: at(ms + .1), refused: refused})
	}
	manager("createSecret", "DescribeSecret", 5)
	manager("createSecret", "GetSecretValue", 6)
	manager("createSecret", "GetSecretValue", 6.5)
	manager("createSecret", "PutSecretValue", 7)
	ask("createSecret", "rotateAPIToken", 8, false)
	manager("createSecret", "PutSecretValue", 9)
	manager("setSecret", "DescribeSecret", 11)
	manager("testSecret", "DescribeSecret", 13)
	manager("testSecret", "GetSecretValue", 14)
	for i := range 25 {
		ask("testSecret", "introspection", 15+float64(i)*400, true)
	}
	ask("testSecret", "introspection", 10511, false)
	manager("finishSecret", "DescribeSecret", 10513.5)
	manager("finishSecret", "UpdateSecretVersionStage", 10514)
	return r
}

func TestTimelineShowsTheRotation(t *testing.T) {
	r := someRotation()
	picture := drawTimeline(&r)
	if len(picture) > 30_000 {
		t.Errorf("the picture has %d bytes", len(picture))
	}
	texts := textsOf(t, picture)
	for _, want := range []string{
		"10 calls to Secrets Manager, 27 to Panther", "no working token: 10.51 s",
		"createSecret" + "10.0 ms", "testSecret" + "10.50 s", "introspection" + "does it work? 25 × no, then yes",
	} {
		if !strings.Contains(strings.Join(texts, "\n"), want) {
			t.Errorf("the picture does not say %q:\n%s", want, strings.Join(texts, "\n"))
		}
	}
	for _, elsewhere := range []string{"href", "url(", "@import", "<script"} {
		if strings.Contains(picture, elsewhere) {
			t.Errorf("the picture needs something else: it has %s", elsewhere)
		}
	}
}

// textsOf returns what a picture says. It must be well-formed, and all of it
// within its frame.
func textsOf(t *testing.T, picture string) (texts []string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(picture))
	depth := 0 // within <text>
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, picture)
		}
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				if v, err := strconv.ParseFloat(a.Value, 64); err == nil && (v < 0 || v > timelineWidth) {
					t.Errorf("%s has %s = %s", token.Name.Local, a.Name.Local, a.Value)
				}
			}
			if depth > 0 {
				depth++
			} else if token.Name.Local == "text" {
				depth, texts = 1, append(texts, "")
			}
		case xml.EndElement:
			depth = max(depth-1, 0)
		case xml.CharData:
			if depth > 0 {
				texts[len(texts)-1] += string(token)
			}
		}
	}
}

func TestLabelsEndBeforeThePanels(t *testing.T) {
	r := someRotation()
	for _, row := range timelineRows(&r) {
		const wide = 7.4 // pixels of a letter, in fonts with wide ones
		if width := wide * float64(len([]rune(row.label+row.detail))+2); width > labelWidth {
			t.Errorf("%s %s takes %.0f pixels of %d", row.label, row.detail, width, labelWidth)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		whole time.Duration
		most  int
		every time.Duration
	}{
		{11500 * time.Microsecond, 5, 2 * time.Millisecond},
		{11500 * time.Microsecond, 4, 5 * time.Millisecond},
		{10500 * time.Millisecond, 5, 2 * time.Second},
		{2100 * time.Microsecond, 2, time.Millisecond},
		{time.Second, 0, time.Second},
	} {
		if got := tick(c.whole, c.most); got != c.every {
			t.Errorf("%s with at most %d ticks: every %s, want %s", c.whole, c.most, got, c.every)
		}
	}
}
