package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestQuantiles(t *testing.T) {
	for _, c := range []struct {
		values                      []float64
		least, lower, median, upper float64
	}{
		{[]float64{7}, 7, 7, 7, 7},
		{[]float64{3, 1, 2}, 1, 1.5, 2, 2.5},
		{[]float64{4, 1, 3, 2}, 1, 1.75, 2.5, 3.25},
	} {
		s := sample{values: c.values}
		if s.min() != c.least || s.quantile(0.25) != c.lower || s.median() != c.median || s.quantile(0.75) != c.upper {
			t.Errorf("%v: %v, %v, %v, %v", c.values, s.min(), s.quantile(0.25), s.median(), s.quantile(0.75))
		}
	}
	if none := (&sample{}); !math.IsNaN(none.median()) || none.inShort() != "–" {
		t.Errorf("nothing measured gives %s", none.inShort())
	}
}

func TestNumbersAreAsPreciseAsNeeded(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 10: "10", 0.01234: "0.012", 3.456: "3.46", 23.45: "23.4", 3064.6: "3065"} {
		if got := number(value); got != want {
			t.Errorf("%v is written %s, want %s", value, got, want)
		}
	}
}

func TestAimOfTheOutage(t *testing.T) {
	for propagation, want := range map[time.Duration]time.Duration{
		0: time.Second, time.Second: 2 * time.Second, 2 * time.Second: 3300 * time.Millisecond, 10 * time.Second: 12500 * time.Millisecond,
	} {
		if got := outageAim(propagation); got != want {
			t.Errorf("with P = %s it is %s, want %s", propagation, got, want)
		}
	}
}

func TestTheExitCodeTells(t *testing.T) {
	ok, no, unknown := figure{verdict: met}, figure{verdict: missed}, figure{verdict: notMeasured}
	for _, c := range []struct {
		figures []figure
		code    int
		says    string
	}{
		{[]figure{ok, ok}, exitMet, "2 of 2 aims are met."},
		{[]figure{ok, unknown}, exitNotMeasured, "1 of 2 aims are met, 1 not measured."},
		{[]figure{unknown, no, ok}, exitMissed, "1 of 3 aims are met, 1 missed, 1 not measured."},
	} {
		r := &report{figures: c.figures}
		if r.exitCode() != c.code || r.summary() != c.says {
			t.Errorf("exit code %d, want %d: %s", r.exitCode(), c.code, r.summary())
		}
	}
}

func TestSpeedsDoNotCountWhereFewRunsAreMade(t *testing.T) {
	slow := figure{verdict: missed, isSpeed: true}
	for _, c := range []struct {
		r    report
		code int
	}{
		{report{quick: true, figures: []figure{slow, {verdict: met}}}, exitMet},
		{report{quick: false, figures: []figure{slow, {verdict: met}}}, exitMissed},
		{report{quick: true, figures: []figure{slow, {verdict: missed}}}, exitMissed},
		{report{quick: true, figures: []figure{{verdict: notMeasured, isSpeed: true}}}, exitMet},
	} {
		if got := c.r.exitCode(); got != c.code {
			t.Errorf("exit code %d, want %d: %+v", got, c.code, c.r)
		}
	}
}

func TestAimsAreHeldAgainstTheRatioOfMedians(t *testing.T) {
	ours := sample{name: "ours", unit: "ms", values: []float64{14, 15, 90}}
	theirs := sample{name: "theirs", unit: "ms", values: []float64{10, 10, 10}}
	if f := timesAsMuch("f", "y", ours, theirs, 1.5); f.verdict != met || f.ratio != "1.50 ×" {
		t.Errorf("%+v", f)
	}
	if f := timesAsMuch("f", "y", ours, theirs, 1.49); f.verdict != missed {
		t.Errorf("%+v", f)
	}
}

func TestReport(t *testing.T) {
	ours := sample{name: "cold start: function", unit: "ms", values: []float64{4, 3, 5}}
	hello := sample{name: "cold start: hello-world", unit: "ms", values: []float64{2, 2, 2}}
	r := &report{
		date:    time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		machine: "2 cores",
		figures: []figure{timesAsMuch("cold start", "hello-world", ours, hello, 1.5)},
	}
	text := r.markdown()
	for _, want := range []string{
		"on 4 March 2026. 0 of 1 aims are met, 1 missed.",
		"| cold start | 4 ms | 2 ms, hello-world | 2.00 × | at most 1.5 × | **MISSED** |\n",
		"| cold start: function | ms | 3 | 3 | 3.50 to 4.50 | **4** | 5 |\n",
		"2 cores",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not have %q:\n%s", want, text)
		}
	}
	columns := 0
	for line := range strings.Lines(text) {
		switch n := strings.Count(line, "|"); {
		case !strings.HasPrefix(line, "|"):
			columns = 0
			if len([]rune(line)) > 121 && !strings.HasPrefix(line, "[") {
				t.Errorf("a line is too long: %s", line)
			}
		case columns != 0 && n != columns:
			t.Errorf("a row has other columns than the one above it: %s", line)
		default:
			columns = n
		}
	}
}

func TestNothingIsNotWithinAnAim(t *testing.T) {
	something, nothing, zero := sample{values: []float64{1}}, sample{}, sample{values: []float64{1, 0}}
	for _, pair := range [][2]sample{{nothing, something}, {something, nothing}, {zero, something}, {something, zero}} {
		if f := timesAsMuch("f", "y", pair[0], pair[1], 1.5); f.verdict != notMeasured {
			t.Errorf("%v beside %v is %s", pair[0].values, pair[1].values, f.verdict)
		}
	}
	if f := timesAsMuch("f", "y", something, something, 1.5); f.verdict != met {
		t.Errorf("as much is %s", f.verdict)
	}
}
