package terminal

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"strings"
	"time"
)

// A Recording is what a terminal showed line by line, and when.
type Recording struct {
	out     io.Writer
	started time.Time
	lines   []line
	rest    []byte // of a line that has not ended
}

type line struct {
	text string // with its control sequences
	at   time.Duration
}

// Record makes a Terminal of out that is in colour, without lines that change,
// and a Recording of it.
func Record(out io.Writer) (*Terminal, *Recording) {
	r := &Recording{out: out, started: time.Now()}
	return &Terminal{out: r, colour: true}, r
}

// Write passes p on and keeps it.
func (r *Recording) Write(p []byte) (int, error) {
	at := time.Since(r.started)
	r.rest = append(r.rest, p...)
	for {
		text, rest, ended := bytes.Cut(r.rest, []byte("\n"))
		if !ended {
			return r.out.Write(p)
		}
		r.lines = append(r.lines, line{string(text), at})
		r.rest = rest
	}
}

// What the picture is made of. Its colours are legible on its own background.
const (
	lineHeight     = 18
	characterWidth = 7.8
	margin         = 16

	style = `text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d0d7de; white-space: pre }
.c1 { font-weight: bold; fill: #ffffff } .c2 { fill: #8b949e } .c31 { fill: #ff7b72 }
.c32 { fill: #56d364 } .c33 { fill: #e3b341 } .c36 { fill: #79c0ff }
@media (prefers-reduced-motion: no-preference) {
  .line { opacity: 0; animation: show 1ms forwards }
  @keyframes show { to { opacity: 1 } }
}
`
)

// WriteSVG writes a picture in which the lines appear as they did, below the
// command that was typed. Where pictures don't move, it shows them all.
func (r *Recording) WriteSVG(w io.Writer, command string) error {
	width := Width(command) + 2
	for _, l := range r.lines {
		width = max(width, Width(withoutPaint(l.text)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" xml:space="preserve" role="img" aria-label="A recording of %s">`+"\n",
		float64(width)*characterWidth+2*margin, (len(r.lines)+1)*lineHeight+2*margin, html.EscapeString(command))
	fmt.Fprintf(&b, "<style>%s</style>\n", style)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#0d1117"/>`+"\n")
	fmt.Fprintf(&b, `<text x="%d" y="%d"><tspan class="c2">$ </tspan>%s</text>`+"\n", margin, margin+lineHeight-5, html.EscapeString(command))
	for i, l := range r.lines {
		if l.text == "" {
			continue
		}
		fmt.Fprintf(&b, `<text class="line" style="animation-delay:%.2fs" x="%d" y="%d">%s</text>`+"\n",
			l.at.Seconds(), margin, margin+(i+2)*lineHeight-5, spans(l.text))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// spans makes elements of the control sequences that paint writes.
func spans(text string) string {
	var b strings.Builder
	for {
		plain, painted, more := strings.Cut(text, "\x1b[")
		b.WriteString(html.EscapeString(plain))
		if !more {
			return b.String()
		}
		var code, content string
		code, painted, _ = strings.Cut(painted, "m")
		content, text, _ = strings.Cut(painted, "\x1b[0m")
		fmt.Fprintf(&b, `<tspan class="c%s">%s</tspan>`, code, html.EscapeString(content))
	}
}

func withoutPaint(text string) string {
	var b strings.Builder
	for {
		plain, painted, more := strings.Cut(text, "\x1b[")
		b.WriteString(plain)
		if !more {
			return b.String()
		}
		_, text, _ = strings.Cut(painted, "m")
	}
}
