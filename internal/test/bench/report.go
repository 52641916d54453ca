package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const reportFile = "benchmarks.md"

// verdict is what became of an aim.
type verdict string

const (
	met         verdict = "met"
	missed      verdict = "MISSED"
	notMeasured verdict = "not measured"
)

func metIf(ok bool) verdict {
	if ok {
		return met
	}
	return missed
}

// figure is one row of the report: a median beside its yardstick.
type figure struct {
	name      string
	ours      string // with its unit
	yardstick string
	ratio     string
	aim       string
	verdict   verdict
	isSpeed   bool // depends on what else the machine does
	note      string
	samples   []sample // what it was made from
}

// timesAsMuch is a figure that may be so many times its yardstick. Nothing that is
// compared so can be nothing: then it was not measured.
func timesAsMuch(name, yardstick string, ours, theirs sample, aim float64) figure {
	if !(ours.min() > 0 && theirs.min() > 0) {
		return figure{name: name, ours: "–", yardstick: "not measured", ratio: "–", aim: fmt.Sprintf("at most %.1f ×", aim), verdict: notMeasured}
	}
	ratio := ours.median() / theirs.median()
	return figure{
		name:      name,
		ours:      ours.inShort(),
		yardstick: theirs.inShort() + ", " + yardstick,
		ratio:     times(ratio),
		aim:       fmt.Sprintf("at most %.1f ×", aim),
		verdict:   metIf(ratio <= aim),
		samples:   []sample{ours, theirs},
	}
}

func times(ratio float64) string { return fmt.Sprintf("%.2f ×", ratio) }

// report is what a run of the benchmark found.
type report struct {
	quick   bool
	date    time.Time
	machine string
	figures []figure
}

func (r *report) count(v verdict) (n int) {
	for _, f := range r.figures {
		if f.verdict == v {
			n++
		}
	}
	return n
}

// exitCode is that of the worst figure. Few runs on a busy machine say little of
// speeds.
func (r *report) exitCode() int {
	code := exitMet
	for _, f := range r.figures {
		switch {
		case r.quick && f.isSpeed:
		case f.verdict == missed:
			return exitMissed
		case f.verdict == notMeasured:
			code = exitNotMeasured
		}
	}
	return code
}

// summary says in a line how many aims were met.
func (r *report) summary() string {
	s := fmt.Sprintf("%d of %d aims are met", r.count(met), len(r.figures))
	if n := r.count(missed); n > 0 {
		s += fmt.Sprintf(", %d missed", n)
	}
	if n := r.count(notMeasured); n > 0 {
		s += fmt.Sprintf(", %d not measured", n)
	}
	return s + "."
}

// write writes the report into a folder.
func (r *report) write(dir string) error {
	return os.WriteFile(filepath.Join(dir, reportFile), []byte(r.markdown()), 0o644)
}

// markdown is the report as it is read.
func (r *report) markdown() string {
	var out strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }

	p("# Benchmarks\n")
	p("Written by `make bench` on %s. %s\n", r.date.UTC().Format("2 January 2006"), r.summary())
	p("- **Machine**: %s.", r.machine)
	if r.quick {
		p("- **To repeat**: `make bench ARGS=-quick`, which measures each figure a few times only, as here. `make bench` measures\n" +
			"  more often, for some minutes.")
	} else {
		p("- **To repeat**: `make bench`, which takes some minutes, or `make bench ARGS=-quick`, which measures less often.")
	}
	p("- **Needs**: Go, and a Python with boto3 for the row of Python: `BENCH_PYTHON`, or else `python3`.")
	p("- **How**: both sides of a comparison take turns in the same run, on 127.0.0.1, and medians are compared.\n" +
		"  Absolute figures are this machine's, beside whatever else ran on it; compare the ratios.\n")

	p("| figure | function | yardstick | function : yardstick | aim | |")
	p("| --- | --- | --- | --- | --- | --- |")
	for _, f := range r.figures {
		p("| %s | %s | %s | %s | %s | %s |", f.name, f.ours, f.yardstick, f.ratio, f.aim, r.mark(f.verdict))
	}

	p("\n## What was measured\n")
	p("%s", explanations)
	for _, f := range r.figures {
		if f.note != "" {
			p("%s\n", f.note)
		}
	}
	p("## All figures\n")
	p("The quartiles are what half of the runs lie between.\n")
	p("| | unit | runs | least | quartiles | median | most |")
	p("| --- | --- | --- | --- | --- | --- | --- |")
	for _, f := range r.figures {
		for _, s := range f.samples {
			p("| %s | %s | %d | %s | %s to %s | **%s** | %s |", s.name, s.unit, len(s.values), number(s.min()),
				number(s.quantile(0.25)), number(s.quantile(0.75)), number(s.median()), number(s.max()))
		}
	}
	return out.String()
}

func (r *report) mark(v verdict) string {
	if v == met {
		return string(v)
	}
	return "**" + string(v) + "**"
}

// explanations say what the rows of the report mean.
const explanations = `- **Deployment zip** is what ` + "`make zip`" + ` makes. The same sources make the same bytes, so it is measured once.
- **Cold start** is the time from the start of the process to its first request for an invocation, which Lambda calls
  init. Hello-world is ` + "`internal/test/bench/hello`" + `, built with the same flags and the same version of aws-lambda-go.
  Python runs the imports of AWS's [template for rotation functions][template], makes its client, and asks for an
  invocation, too; what Lambda's own runtime for Python imports before that is left out. A first start of each, which
  fills caches, does not count.
- **Peak memory** is the kernel's count (VmHWM) for the process after a whole rotation in the sandbox, or after as
  many invocations of hello-world. About three quarters of both are pages of the binary that were used.
- **Calls to Secrets Manager** are those of the function. Those of the template are counted in its source, for the
  same job: Panther makes the token, so GetRandomPassword and what would be done in setSecret are left out, and
  testSecret reads the new version. Earlier forms of it leave AWSPENDING where it was, and make one call less. The
  function's ten include the write that changes nothing and shows that storing is allowed.
- **Outage** is from the moment Panther is asked to rotate, when the old token dies, to the moment the new one is
  AWSCURRENT. P is how long Panther takes until a new token works. The aim is P and a second, and from P = 2 s on 1.15
  × P and a second.
- **Many secrets**: a tenth of the function's calls to Secrets Manager and to Panther fails: throttling, 5xx answers
  and broken connections, mostly before the call took effect, some after. Left out is one thing, an answer of
  rotateAPIToken that never arrives: Panther shows the token once, so it is lost, whoever calls; the function finds
  that out and says so. A rotation that failed is started again with rotate-secret, ten times at most.

[template]: ` + templateSource + "\n"
