package explorer

import (
	"context"
	"log/slog"
	"strings"

	"panther-token-rotation/internal/rotation"
)

// output takes everything that the function writes: log lines, measurements and
// errors. It keeps none of it, but looks whether a token or a part of one is in
// it, encoded or not. Numbers and times hold none.
type output struct {
	world *World
	json  slog.Handler // for values that are not simply strings
}

func newOutput(w *World) *output {
	o := &output{world: w}
	o.json = slog.NewJSONHandler(o, &slog.HandlerOptions{Level: slog.LevelDebug})
	return o
}

// tilde and plus give a token away, because nothing else here has one. Every
// part of eight characters of a token has a tilde; and in base64 a tilde that is
// the last of three bytes is a plus, wherever the three begin: see newToken.
const (
	tilde = '~'
	plus  = '+'
)

// sweep holds for every text that the function writes.
func (o *output) sweep(text string) {
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

// Write takes what the JSON handler made of a value.
func (o *output) Write(line []byte) (int, error) {
	o.sweep(string(line))
	return len(line), nil
}

// Measure takes a measurement. How they are written is tried elsewhere.
func (o *output) Measure(m rotation.Measurement) {
	o.sweep(m.SecretARN)
	o.sweep(string(m.Step))
	o.sweep(string(m.Kind))
}

// The rest makes output a slog.Handler, which spares the explorer the
// formatting: that was half of its time.

// Enabled has every level logged.
func (o *output) Enabled(context.Context, slog.Level) bool { return true }

// Handle takes a line of the log.
func (o *output) Handle(_ context.Context, r slog.Record) error {
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
	default:
		var r slog.Record
		r.AddAttrs(a)
		_ = o.json.Handle(context.Background(), r)
	}
}
