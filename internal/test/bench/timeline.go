package main

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"
)

// The picture's measures, in pixels.
const (
	timelineWidth = 980
	marginX       = 24
	labelWidth    = 350
	panelGap      = 12
	rowHeight     = 22
	headHeight    = 112
	footHeight    = 46
	leastMark     = 3 // so that what took no time is seen
)

// timelineStyle has the colours of a light page, and those of a dark one. The
// picture brings its own background, for pages that are neither.
const timelineStyle = `
text { font: 13px -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 } .step { font-weight: 600 } .dim { fill: #59636e } .small { font-size: 11px }
.page { fill: #ffffff; stroke: #d1d9e0 } .panel { fill: #f6f8fa } .line { stroke: #d1d9e0 } .mark { stroke: #59636e; stroke-dasharray: 3 3 }
.span { fill: #afb8c1 } .manager { fill: #0969da } .panther { fill: #8250df } .refused { fill: none; stroke: #8250df; stroke-width: 1.3 }
.works { fill: #1a7f37 } .outage { fill: #cf222e } .shade { fill: #cf222e; opacity: .08 } .on { fill: #ffffff; font-weight: 600 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .dim { fill: #9198a1 }
.page { fill: #0d1117; stroke: #3d444d } .panel { fill: #161b22 } .line { stroke: #3d444d } .mark { stroke: #9198a1 }
.span { fill: #656c76 } .manager { fill: #4493f8 } .panther { fill: #ab7df8 } .refused { stroke: #ab7df8 }
.works { fill: #238636 } .outage { fill: #da3633 } .shade { fill: #f85149; opacity: .14 } .on { fill: #ffffff }
}
`

// panel is a stretch of time on a scale of its own: the calls take milliseconds,
// the waiting between them seconds.
type panel struct {
	title    string
	x, width float64
	from, to time.Time
}

func (p panel) at(t time.Time) float64 {
	share := float64(t.Sub(p.from)) / float64(p.to.Sub(p.from))
	return p.x + p.width*min(max(share, 0), 1)
}

// row is one line of the picture: a step, or calls of one kind within it.
type row struct {
	label, detail string
	class         string
	spans         []span
	isStep        bool
}

type span struct {
	from, to time.Time
	refused  bool
}

// drawTimeline returns an SVG picture of a rotation: the steps, the calls below
// each, and how long AWSCURRENT held no working token.
func drawTimeline(r *rotation) string {
	rows := timelineRows(r)
	panels := timelinePanels(r)
	top := float64(headHeight)
	bottom := top + float64(len(rows)*rowHeight)
	height := bottom + footHeight + rowHeight + 10

	d := &drawing{}
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img" aria-labelledby="t d">`,
		timelineWidth, height, timelineWidth, height)
	d.printf(`<title id="t">Timeline of one rotation</title>`)
	d.printf(`<desc id="d">The four steps of a rotation with their calls to Secrets Manager and Panther. AWSCURRENT held no working token for %s.</desc>`, inShort(r.outage()))
	d.printf(`<style>%s</style>`, timelineStyle)
	d.printf(`<rect class="page" x=".5" y=".5" width="%d" height="%.0f" rx="8"/>`, timelineWidth-1, height-1)
	d.text(marginX, 34, "title", "One rotation, measured")
	d.text(marginX, 54, "dim", fmt.Sprintf("%d calls to Secrets Manager, %d to Panther, whose new token takes %s to work (P). Each panel has a scale of its own.",
		r.callsTo(toSecretsManager, ""), r.callsTo(toPanther, ""), inShort(r.propagation)))

	for _, p := range panels {
		d.scale(p, top, bottom+rowHeight+8)
		d.rect("shade", p.at(r.died), top, p.at(r.current)-p.at(r.died), bottom-top)
	}
	d.begin(r, panels[1], top, bottom)
	for i, row := range rows {
		d.row(row, panels, top+float64(i*rowHeight))
	}
	d.current(r, panels, bottom+6)
	d.legend(height - 22)
	d.printf(`</svg>`)
	return d.String()
}

// timelinePanels divides the rotation: the calls of the first two steps, the
// waiting of testSecret, and finishSecret with a little of what comes after.
func timelinePanels(r *rotation) []panel {
	create, set, test, finish := r.steps[0], r.steps[1], r.steps[2], r.steps[3]
	after := finish.to.Sub(finish.from) / 4
	panels := []panel{
		{title: "createSecret, setSecret", width: 240, from: create.from, to: set.to},
		{title: "testSecret", width: 230, from: test.from, to: test.to},
		{title: "finishSecret", from: finish.from, to: finish.to.Add(after)},
	}
	x := float64(marginX + labelWidth)
	panels[2].width = timelineWidth - marginX - x - panels[0].width - panels[1].width - 2*panelGap
	for i := range panels {
		panels[i].x = x
		x += panels[i].width + panelGap
	}
	return panels
}

func timelineRows(r *rotation) []row {
	var rows []row
	for i, s := range r.steps {
		rows = append(rows, row{label: s.name, detail: inShort(s.to.Sub(s.from)), class: "span", isStep: true, spans: []span{{from: s.from, to: s.to}}})
		if i == 0 && r.coldStart > 0 {
			rows = append(rows, row{label: "cold start", detail: inShort(r.coldStart), class: "span",
				spans: []span{{from: s.from, to: s.from.Add(r.coldStart)}}})
		}
		for _, c := range r.calls {
			if c.step != s.name {
				continue
			}
			last := &rows[len(rows)-1]
			if c.operation == "introspection" && last.label == c.operation {
				last.spans = append(last.spans, span{c.from, c.to, c.refused})
				last.detail = asked(last.spans)
				continue
			}
			next := row{label: c.operation, detail: purpose(c), class: "manager", spans: []span{{from: c.from, to: c.to}}}
			if c.service == toPanther {
				next.class, next.spans[0].refused = "panther", c.refused
			}
			rows = append(rows, next)
		}
	}
	return rows
}

// purpose says what a call is for.
func purpose(c call) string {
	switch {
	case c.operation == "DescribeSecret" && c.step == "createSecret":
		return "is it this version's turn?"
	case c.operation == "DescribeSecret":
		return "the same checks"
	case c.operation == "GetSecretValue" && c.refused:
		return "version 2: empty"
	case c.operation == "GetSecretValue" && c.step == "createSecret":
		return "version 1: token 1"
	case c.operation == "GetSecretValue":
		return "version 2: token 2"
	case c.ignored:
		return "changes nothing: may it write?"
	case c.operation == "PutSecretValue":
		return "version 2: token 2"
	case c.operation == "rotateAPIToken":
		return "token 1 dies, here is token 2"
	case c.operation == "UpdateSecretVersionStage":
		return "AWSCURRENT moves"
	case c.operation == "introspection" && c.refused:
		return "token 2? no"
	case c.operation == "introspection":
		return "token 2 works"
	}
	return ""
}

// asked says what the questions whether the token works brought.
func asked(spans []span) string {
	no := 0
	for _, s := range spans {
		if s.refused {
			no++
		}
	}
	return fmt.Sprintf("does it work? %d × no, then yes", no)
}

// drawing is an SVG document that grows.
type drawing struct{ strings.Builder }

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

func (d *drawing) text(x, y float64, class, text string) {
	d.printf(`<text x="%.1f" y="%.1f" class="%s">%s</text>`, x, y, class, html.EscapeString(text))
}

func (d *drawing) rect(class string, x, y, width, height float64) {
	d.printf(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, x, y, width, height)
}

// scale draws a panel's background, its title and its scale.
func (d *drawing) scale(p panel, top, bottom float64) {
	d.rect("panel", p.x, top, p.width, bottom-top)
	d.text(p.x, top-24, "step", p.title)
	whole := p.to.Sub(p.from)
	every := tick(whole, int(p.width/45))
	for t := time.Duration(0); t <= whole; t += every {
		x := p.at(p.from.Add(t))
		d.printf(`<line class="line" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x, top-4, x, bottom)
		switch label := onScale(t, every); {
		case p.x+p.width-x > 24:
			d.text(x, top-8, "dim small", label)
		case t == every: // the only mark: without it, the panel has no scale
			d.printf(`<text x="%.1f" y="%.1f" class="dim small" text-anchor="end">%s</text>`, p.x+p.width, top-8, label)
		}
	}
}

// tick returns how far apart marks are, so that there are at most so many: 1, 2
// or 5 times a power of ten.
func tick(whole time.Duration, most int) time.Duration {
	for power := time.Microsecond; ; power *= 10 {
		for _, times := range []time.Duration{1, 2, 5} {
			if whole/(times*power) <= time.Duration(max(most, 1)) {
				return times * power
			}
		}
	}
}

// onScale writes a time of a scale, whose marks are so far apart.
func onScale(t, every time.Duration) string {
	switch {
	case t == 0:
		return "0"
	case every >= time.Second:
		return fmt.Sprintf("%.0f s", t.Seconds())
	case every >= time.Millisecond:
		return fmt.Sprintf("%.0f ms", t.Seconds()*1000)
	}
	return fmt.Sprintf("%.1f ms", t.Seconds()*1000)
}

// begin marks when the new token begins to work.
func (d *drawing) begin(r *rotation, p panel, top, bottom float64) {
	if r.propagation == 0 {
		return
	}
	x := p.at(r.died.Add(r.propagation))
	d.printf(`<line class="mark" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x, top, x, bottom)
	d.printf(`<text x="%.1f" y="%.1f" class="dim small" text-anchor="end">P: from here on token 2 works</text>`, x-6, top+3*rowHeight)
}

func (d *drawing) row(r row, panels []panel, y float64) {
	label, indent := "", 14.0
	if r.isStep {
		label, indent = "step", 0
	}
	d.printf(`<text x="%.1f" y="%.1f" class="%s">%s<tspan class="dim" dx="8">%s</tspan></text>`,
		marginX+indent, y+16, label, html.EscapeString(r.label), html.EscapeString(r.detail))
	for _, s := range r.spans {
		p := panels[0]
		for _, later := range panels[1:] {
			if !s.from.Before(later.from) {
				p = later
			}
		}
		x, end := p.at(s.from), p.at(s.to)
		switch {
		case r.isStep:
			d.rect(r.class, x, y+8, math.Max(end-x, leastMark), 6)
		case r.class == "panther":
			class := r.class
			if s.refused {
				class = "refused"
			}
			d.printf(`<circle class="%s" cx="%.1f" cy="%.1f" r="3.2"/>`, class, x, y+11)
		default:
			d.rect(r.class, x, y+5, math.Max(end-x, leastMark), 12)
		}
	}
}

// current draws what AWSCURRENT held.
func (d *drawing) current(r *rotation, panels []panel, y float64) {
	d.text(marginX, y+15, "step", "AWSCURRENT")
	for i, p := range panels {
		died, current := p.at(r.died), p.at(r.current)
		if died > p.x {
			d.rect("works", p.x, y, died-p.x, rowHeight-2)
		}
		d.rect("outage", died, y, current-died, rowHeight-2)
		if current < p.x+p.width {
			d.rect("works", current, y, p.x+p.width-current, rowHeight-2)
		}
		if i == 1 {
			d.printf(`<text x="%.1f" y="%.1f" class="on" text-anchor="middle">no working token: %s</text>`, p.x+p.width/2, y+15, inShort(r.outage()))
		}
	}
}

func (d *drawing) legend(y float64) {
	x := float64(marginX)
	entry := func(mark, text string) {
		d.printf(mark, x, y-5)
		d.text(x+14, y, "dim small", text)
		x += 32 + 6.7*float64(len(text)) // wide letters, as some fonts have them
	}
	box := `<rect class="%s" x="%%.1f" y="%%.1f" width="9" height="9" transform="translate(0 -4)"/>`
	dot := `<circle class="%s" cx="%%.1f" cy="%%.1f" r="3.2" transform="translate(5 0)"/>`
	entry(fmt.Sprintf(box, "span"), "a step, the cold start")
	entry(fmt.Sprintf(box, "manager"), "call to Secrets Manager")
	entry(fmt.Sprintf(dot, "panther"), "call to Panther")
	entry(fmt.Sprintf(dot, "refused"), "refused: 401")
	entry(fmt.Sprintf(box, "works"), "AWSCURRENT's token works")
	entry(fmt.Sprintf(box, "outage"), "it does not")
}

// inShort writes a duration as precisely as a reader needs it: 10.6 s, 9.1 ms.
func inShort(d time.Duration) string {
	switch {
	case d%time.Second == 0:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
}
