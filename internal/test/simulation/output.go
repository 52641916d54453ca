package simulation

import (
	"bytes"
	"context"
	"log/slog"
	"strings"

	"panther-token-rotation/internal/rotation"
)

// output takes everything that the function writes: log lines, measurements and
// errors. It keeps nothing of it, but looks at each text whether a token or a
// part of one is in it. As a slog.Handler and a rotation.Meter it looks at the
// texts before they are formatted, because formatting took a quarter of the time.
type output struct{ world *world }

// tilde and plus give a token away: nothing else in the output has one. Each part
// of four characters of a token has a tilde; and base64 makes a plus of a tilde
// that is the last of three bytes (see newToken).
const (
	tilde = '~'
	plus  = '+'
)

// sweep holds for every text that the function writes: no token, in whole or in
// part, is in it.
func (o *output) sweep(text string) {
	o.world.written += len(text)
	if strings.IndexByte(text, tilde) >= 0 || strings.IndexByte(text, plus) >= 0 {
		o.found(text)
	}
}

func (o *output) found(text string) {
	at := strings.IndexAny(text, string([]byte{tilde, plus}))
	near := text[max(at-60, 0):min(at+20, len(text))]
	if text[at] == tilde {
		o.world.violate("a token or a part of one is in the output: %q", near)
		return
	}
	o.world.violate("a token or a part of one is in the output, base64 encoded: %q", near)
}

// Measure takes a measurement. What is written of one is nothing but these texts
// and numbers; package metrics has its own tests.
func (o *output) Measure(m rotation.Measurement) {
	o.sweep(m.SecretARN)
	o.sweep(string(m.Step))
	o.sweep(string(m.Kind))
}

// Enabled has every level logged, debug too.
func (o *output) Enabled(context.Context, slog.Level) bool { return true }

// Handle takes a line of the log.
func (o *output) Handle(_ context.Context, r slog.Record) error {
	if p := o.world.noticeAtLog; p != nil {
		o.world.noticeAtLog = nil
		for _, r := range o.world.reached {
			r.token.notSealed = r.token.notSealed || !o.world.isSafe(r) // there was no time for it
		}
		p.notice()
		p.die("process %d is gone", p.id)
	}
	o.sweep(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		o.sweepAttr(a)
		return true
	})
	return nil
}

// WithAttrs takes what each line of a logger has.
func (o *output) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		o.sweepAttr(a)
	}
	return o
}

// WithGroup takes the name of a group.
func (o *output) WithGroup(name string) slog.Handler {
	o.sweep(name)
	return o
}

func (o *output) sweepAttr(a slog.Attr) {
	o.sweep(a.Key)
	switch a.Value.Kind() {
	case slog.KindString:
		o.sweep(a.Value.String())
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindDuration, slog.KindTime:
		// no text
	default:
		var line bytes.Buffer
		var r slog.Record // without a time, which may have a plus
		r.AddAttrs(a)
		_ = slog.NewJSONHandler(&line, nil).Handle(context.Background(), r)
		o.sweep(line.String())
	}
}
