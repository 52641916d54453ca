package main

import (
	"cmp"
	_ "embed"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"
)

// sample is one quantity, measured several times.
type sample []float64

// median is NaN if nothing was measured.
func (s sample) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(len(s)-1)/2] + sorted[len(s)/2]) / 2
}

// in writes the median with its unit, and how far the values spread.
func (s sample) in(unit string) string {
	text := number(s.median()) + " " + unit
	if least, most := slices.Min(s), slices.Max(s); least < most {
		text += fmt.Sprintf(" (%s to %s)", number(least), number(most))
	}
	return text
}

func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func times(ratio float64) string { return fmt.Sprintf("%.2f ×", ratio) }

// verdict says whether a target was met.
type verdict string

const (
	met         verdict = "met"
	missed      verdict = "**MISSED**"
	notMeasured verdict = "**not measured**"
	notCounted  verdict = "does not count"
)

func metIf(ok bool) verdict {
	if ok {
		return met
	}
	return missed
}

// figure is one row of the report.
type figure struct {
	name, ours, baseline, ratio, target string

	verdict verdict
	isSpeed bool // depends on what else the machine does
}

// timesAsMuch is a figure whose target is a multiple of its baseline. Neither
// side can be zero: then it was not measured.
func timesAsMuch(name, unit, baseline string, ours, theirs sample, target float64) figure {
	f := figure{name: name, ours: "–", baseline: "–", ratio: "–", verdict: notMeasured, target: fmt.Sprintf("at most %.1f ×", target)}
	if ours.median() > 0 && theirs.median() > 0 {
		ratio := ours.median() / theirs.median()
		f.ours, f.baseline, f.ratio = ours.in(unit), theirs.in(unit)+", "+baseline, times(ratio)
		f.verdict = metIf(ratio <= target)
	}
	return f
}

// report is the result of a run.
type report struct {
	quick   bool
	figures []figure
}

// add adds a figure and returns it with the verdict that is reported: a quick run
// on a busy machine says little about speeds.
func (r *report) add(f figure) figure {
	if r.quick && f.isSpeed {
		f.verdict = notCounted
	}
	r.figures = append(r.figures, f)
	return f
}

func (r *report) count(v verdict) (n int) {
	for _, f := range r.figures {
		if f.verdict == v {
			n++
		}
	}
	return n
}

func (r *report) exitCode() int {
	switch {
	case r.count(missed) > 0:
		return exitMissed
	case r.count(notMeasured) > 0:
		return exitNotMeasured
	}
	return exitMet
}

// summary says in a line how many targets are met.
func (r *report) summary() string {
	text := fmt.Sprintf("Of %d targets that count, %d are met", len(r.figures)-r.count(notCounted), r.count(met))
	if n := r.count(missed); n > 0 {
		text += fmt.Sprintf(", %d missed", n)
	}
	if n := r.count(notMeasured); n > 0 {
		text += fmt.Sprintf(", %d not measured", n)
	}
	if n := r.count(notCounted); n > 0 {
		text += fmt.Sprintf(". Speeds do not count with -quick: %d", n)
	}
	return text + "."
}

//go:embed benchmarks.md.tmpl
var page string

func (r *report) markdown() string {
	var rows strings.Builder
	for _, f := range r.figures {
		fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s | %s |\n", f.name, f.ours, f.baseline, f.ratio, f.target, f.verdict)
	}
	cpu := cmp.Or(procField("/proc/cpuinfo", "model name"), "unknown CPU")
	return strings.NewReplacer(
		"{date}", time.Now().UTC().Format("2 January 2006"),
		"{summary}", r.summary(),
		"{machine}", fmt.Sprintf("%d cores, %s, %s/%s, %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH, runtime.Version()),
		"{rows}", rows.String(),
	).Replace(page)
}
