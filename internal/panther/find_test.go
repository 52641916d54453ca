package panther

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/quotedprintable"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"panther-token-rotation/internal/secret"
)

// encoders are what a gateway may do to a whole answer without saying so.
var encoders = map[string]func(string) string{
	"gzip": func(s string) string {
		return written(s, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	},
	"zlib": func(s string) string {
		return written(s, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	},
	"raw deflate": func(s string) string {
		return written(s, func(w io.Writer) io.WriteCloser {
			compressed, _ := flate.NewWriter(w, flate.DefaultCompression)
			return compressed
		})
	},
	"UTF-16, little endian": func(s string) string { return inUTF16(s, binary.LittleEndian) },
	"UTF-16, big endian":    func(s string) string { return inUTF16(s, binary.BigEndian) },
	"UTF-32, little endian": func(s string) string { return inUTF32(s, binary.LittleEndian) },
	"UTF-32, big endian":    func(s string) string { return inUTF32(s, binary.BigEndian) },
	"chunks": func(s string) string {
		var b strings.Builder
		for len(s) > 0 {
			chunk := s[:min(len(s), 7)]
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
			s = s[len(chunk):]
		}
		return b.String() + "0\r\n\r\n"
	},
	"base64":           func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 for URLs":  func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"percent encoding": url.QueryEscape,
	"quoted-printable": func(s string) string {
		return "--b\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n" + quotedPrintable(s) + "\r\n--b--\r\n"
	},
	"XML":                 func(s string) string { return "<reply>" + strings.ReplaceAll(s, `"`, "&quot;") + "</reply>" },
	"a JSON string":       func(s string) string { return string(must(json.Marshal(s))) },
	"server-sent events":  func(s string) string { return "event: next\ndata: " + s + "\n\nevent: complete\n\n" },
	"a byte order mark":   func(s string) string { return "\ufeff" + s },
	"a list":              func(s string) string { return "[" + s + "]" },
	"JSONP":               func(s string) string { return "/**/callback(" + s + ");" },
	"a prefix":            func(s string) string { return ")]}',\n" + s },
	"another document":    func(s string) string { return `{"data":null}` + "\n" + s + "{}" },
	"multipart":           func(s string) string { return "--b\r\nContent-Type: application/json\r\n\r\n" + s + "\r\n--b--\r\n" },
	"API Gateway's proxy": func(s string) string { return `{"statusCode":200,"body":` + string(must(json.Marshal(s))) + `}` },
	"multipart, base64": func(s string) string {
		encoded := base64.StdEncoding.EncodeToString([]byte(s))
		for at := 76; at < len(encoded); at += 78 {
			encoded = encoded[:at] + "\r\n" + encoded[at:]
		}
		return "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded + "\r\n--b--\r\n"
	},
	"the same in base64": func(s string) string {
		return `{"isBase64Encoded":true,"body":"` + base64.StdEncoding.EncodeToString([]byte(s)) + `"}`
	},
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func written(s string, wrap func(io.Writer) io.WriteCloser) string {
	var b bytes.Buffer
	w := wrap(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func quotedPrintable(s string) string {
	return written(s, func(w io.Writer) io.WriteCloser { return quotedprintable.NewWriter(w) })
}

func inUTF16(s string, order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

func inUTF32(s string, order binary.AppendByteOrder) string {
	var b []byte
	for _, r := range s {
		b = order.AppendUint32(b, uint32(r))
	}
	return string(b)
}

// answers are JSON, or nearly so, with the token at its place.
var answers = map[string]string{
	"as documented":              rotated,
	"raw control character":      "{\"errors\":[{\"message\":\"slow\tbackend\x00\"}]," + rotated[1:],
	"no number":                  `{"extensions":{"cost":NaN},` + rotated[1:],
	"invalid UTF-8":              "{\"a\":\xff\xfe," + rotated[1:],
	"quotation marks before it":  `{"message":"say "hi"",` + rotated[1:],
	"one quotation mark before":  `5" of rain. ` + rotated,
	"a list that never ends":     `{"errors":[{"message":"5" disk"}` + rotated,
	"a comment":                  `{/* data */` + rotated[1:],
	"one level too high":         `{"rotateAPIToken":{"token":{"value":"` + newToken + `"}}}`,
	"a list of tokens":           `{"data":{"rotateAPIToken":[{"token":{"value":"` + newToken + `"}}]}}`,
	"broken before it":           `{"data":{"rotateAPIToken":{"id":,"token":{"id":+1,"value":"` + newToken + `"}}}}`,
	"JSON as the data":           `{"data":"{\"rotateAPIToken\":{\"token\":{\"value\":\"` + newToken + `\"}}}"}`,
	"JSON as the field":          `{"data":{"rotateAPIToken":"{\"token\":{\"value\":\"` + newToken + `\"}}"}}`,
	"JSON as the token":          `{"data":{"rotateAPIToken":{"token":"{\"value\":\"` + newToken + `\"}"}}}`,
	"escapes":                    `[{"data":{"rotate\u0041PIToken":{"tok\u0065n":{"\u0076alue":"\u006e` + newToken[1:] + `"}}}}]`,
	"an echo before it":          `[{"data":{"rotateAPIToken":{"token":{"value":"` + oldToken + `"}}}},` + rotated + `]`,
	"an empty one before it":     `[{"data":{"rotateAPIToken":{"token":{"value":""}}}},` + rotated + `]`,
	"the query before it":        `{"query":"mutation{rotateAPIToken{token{value}}}",` + rotated[1:] + `]`,
	"an error's value before it": `[{"errors":[{"rotateAPIToken":{"token":{"value":"wrong"}}}]},` + rotated + `]`,
	"cut off behind it":          `[` + strings.TrimRight(rotated, "}"),
	"a page behind it":           strings.TrimRight("["+rotated, "}") + `<html lang="en">`,
	"in lines":                   "data: {\ndata:  \"rotateAPIToken\": {\ndata:   \"token\": {\ndata:    \"value\": \"" + newToken + "\"\ndata: }}}\n\n",
	"white space of other kinds": strings.NewReplacer(":", "\u00a0:\ufeff", ",", "\v,").Replace("[" + rotated + "]"),
}

func TestATokenIsFoundInAnswersThatAreNotStrictJSON(t *testing.T) {
	for name, body := range answers {
		t.Run(name, func(t *testing.T) { mustRotate(t, says(200, "application/json", body)) })
		for encoding, encode := range encoders {
			t.Run(name+" in "+encoding, func(t *testing.T) {
				if got, ok := findToken(encode(body)); !ok || got != newToken {
					t.Errorf("the token is lost: got %q", got)
				}
			})
		}
	}
}

func TestATokenIsFoundInEncodingsWithinEncodings(t *testing.T) {
	for outer, encode := range encoders {
		for inner, encodeFirst := range encoders {
			if !survives(inner, outer) {
				continue
			}
			body := encode(encodeFirst(rotated))
			if got, ok := findToken(body); !ok || got != newToken {
				t.Errorf("%s within %s: the token is lost: got %q", inner, outer, got)
			}
		}
	}
}

// survives reports whether what the inner encoding makes is left by the outer one.
func survives(inner, outer string) bool {
	return !isBinary(inner) || isBinary(outer) || strings.Contains(outer, "base64")
}

// isBinary reports whether an encoding makes bytes of any value, and takes them.
func isBinary(encoding string) bool {
	switch encoding {
	case "gzip", "zlib", "raw deflate", "chunks":
		return true
	}
	return false
}

// findToken is what Rotate makes of a body.
func findToken(body string) (string, bool) {
	isNew := func(s string) bool { return s != "" && s != oldToken }
	text, _ := plain([]byte(body))
	return find(text, isNew, secret.FitsHeader, "rotateAPIToken", "token", "value")
}

func mustRotate(t *testing.T, handler http.HandlerFunc) {
	t.Helper()
	token, err := api(t, handler).Rotate(t.Context(), secret.NewText(oldToken))
	if err != nil || token.Reveal() != newToken {
		t.Errorf("the token is lost: got %q, %v", token.Reveal(), err)
	}
}

func TestATokenIsFoundWhateverTheContentEncodingSays(t *testing.T) {
	for _, label := range []string{"", "gzip", "deflate", "br", "zstd", "compress", "identity", "gzip, gzip", "utf-8"} {
		for encoding, encode := range map[string]func(string) string{
			"as it is": func(s string) string { return s }, "gzip": encoders["gzip"], "zlib": encoders["zlib"], "raw deflate": encoders["raw deflate"],
			"cut off gzip": gzipped, "gzip with other bytes behind": func(s string) string { return gzipped(s) + "\x00\xffrubbish" },
			"gzip, wrong checksum": func(s string) string {
				b := []byte(encoders["gzip"](s))
				b[len(b)-8] ^= 1
				return string(b)
			},
		} {
			t.Run(label+" for "+encoding, func(t *testing.T) {
				mustRotate(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Encoding", label)
					_, _ = io.WriteString(w, encode(rotated))
				})
			})
		}
	}
}

// The function has 256 MB in Lambda.
func TestALongAnswerIsReadWithinTheMemoryOfTheFunction(t *testing.T) {
	const most = 200 << 20
	padding := strings.Repeat("x", maxAnswer-len(rotated)-100)
	for name, body := range map[string]string{
		"strict":     `{"extensions":{"trace":"` + padding + `"},` + rotated[1:],
		"not strict": "\ufeff" + `{"extensions":{"trace":"` + padding + `"},` + rotated[1:],
	} {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, ok := findToken(body)
		runtime.ReadMemStats(&after)
		if !ok || got != newToken {
			t.Errorf("%s: the token is lost: got %q", name, got)
		}
		if used := after.HeapSys - before.HeapSys; after.HeapSys > before.HeapSys && used > most {
			t.Errorf("%s: the heap grew by %d MB", name, used>>20)
		}
	}
}

func TestCompressionIsUndoneUpToABound(t *testing.T) {
	bomb := encoders["gzip"](encoders["zlib"](strings.Repeat("x", maxDecoded+1)))
	if text, _ := plain([]byte(bomb)); len(text) > maxDecoded {
		t.Errorf("%d bytes of compressed text became %d", len(bomb), len(text))
	}
}

func TestTheSearchEndsWithItsBudget(t *testing.T) {
	const budget = 1 << 18
	bomb := encoders["zlib"](strings.Repeat("\x00", 8*budget))
	for name, body := range map[string]string{
		"a bomb":      "\ufeff" + encoders["gzip"](encoders["gzip"](bomb)),
		"brackets":    `"rotateAPIToken":` + strings.Repeat("[", 2*budget),
		"keys":        strings.Repeat(`"rotateAPIToken":`, 1<<15),
		"objects":     strings.Repeat(`{"rotateAPIToken":`, 1<<15),
		"backslashes": strings.Repeat(`\\\\\"%22&amp;=22`+"\n", 1<<10),
	} {
		s := search{path: []string{"rotateAPIToken", "token", "value"}, accepts: secret.FitsHeader, budget: budget}
		if got, ok := s.find([]byte(body), 0); ok {
			t.Errorf("%s: found %q", name, got)
		}
		if decoded := budget - s.budget; decoded > 2*budget {
			t.Errorf("%s: went through %d bytes, with a budget of %d", name, decoded, budget)
		}
	}
}

// FuzzTokenInDecoratedAnswer puts any text around an answer and encodes it twice.
func FuzzTokenInDecoratedAnswer(f *testing.F) {
	for i := range len(encoders) {
		f.Add("fresh-token", "{", "}", i, i+1)
	}
	f.Add(`"{`, `{"value":"x"`, `{"token":`, 3, 0)
	names := slices.Sorted(maps.Keys(encoders))
	f.Fuzz(func(t *testing.T, token, before, behind string, inner, outer int) {
		if !secret.FitsHeader(token) || inner < 0 || outer < 0 || token == oldToken {
			return
		}
		first, second := names[inner%len(names)], names[outer%len(names)]
		if !survives(first, second) {
			return
		}
		// Text that may be an answer, or part of an encoding, is not meant.
		around := before + behind
		if strings.ContainsAny(around, `\%&=`) || strings.Contains(around, "errors") || strings.Contains(around, "rotateAPIToken") ||
			strings.ContainsFunc(around, func(r rune) bool { return r < ' ' || r > '~' }) {
			return
		}
		decorated := before + `{"data":{"rotateAPIToken":{"token":{"value":` + quote(t, token) + `}}}}` + behind
		decorated = encoders[second](encoders[first](decorated))
		if got, ok := findToken(decorated); !ok || got != token {
			t.Errorf("found %q, %v in %q", got, ok, decorated)
		}
	})
}

// FuzzNoTokenWithoutItsKeys searches any text, alone and at each place of an
// answer but the token's.
func FuzzNoTokenWithoutItsKeys(f *testing.F) {
	for _, body := range []string{
		`{"value":"x"}`, `"token":{"value":"x"}`, "mutation{rotateAPIToken{token{value}}}", "\x1f\x8b\x08", "\ufeff[]", `\"value\":\"x\"`, "%22&quot;", `x","value":"y`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("otate")) || bytes.ContainsAny(text, `=`) {
			return
		}
		quoted := string(must(json.Marshal(string(text))))
		for _, body := range []string{
			string(text),
			`{"data":{"rotateAPIToken":{"token":null}},"value":` + quoted + `}`,
			`{"data":{"rotateAPIToken":{"token":{"id":` + quoted + `,"value":null}}}}`,
			`{"data":{"rotateAPIToken":null},"errors":[{"message":` + quoted + `,"value":` + quoted + `}]}`,
			`{"data":{"rotateAPIToken":{"token":{"value":` + strings.TrimSuffix(quoted, `"`),
		} {
			if got, ok := findToken(body); ok {
				t.Errorf("made up %q from %q", got, body)
			}
		}
	})
}
