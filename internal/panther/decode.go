package panther

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"mime/quotedprintable"
	"net/http/httputil"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// decoding undoes what a gateway may have done to an answer. It takes a text and
// the number of bytes to return at most, and returns nothing where it does not
// apply. An encoded text that is cut off or damaged gives what could be decoded
// before that.
type decoding func(text []byte, limit int) []byte

// decodings are tried whether the answer's headers say so or not.
//
// [maxSearched] bounds all of it together.
//
// Brotli and zstd are missing: the function asks for neither, and a decoder
// would be a dependency.
var decodings = []decoding{
	gunzip, inflateZlib, inflateRaw,
	utf16Text(binary.LittleEndian), utf16Text(binary.BigEndian), utf32Text(binary.LittleEndian), utf32Text(binary.BigEndian),
	unescapeJSON, unescapeXML, unescapePercent,
	joinChunks, dropChunkSizes, joinEvents, decodeBase64,
}

// plain undoes compression that an answer announces, or has without saying so.
// The error is that of a compressed text that is cut off or damaged.
func plain(body []byte) ([]byte, error) {
	for range maxNested {
		var r io.Reader
		var err error
		switch {
		case bytes.HasPrefix(body, []byte("\x1f\x8b")):
			r, err = gzip.NewReader(bytes.NewReader(body))
		case len(body) > 2 && body[0] == 0x78 && binary.BigEndian.Uint16(body)%31 == 0:
			r, err = zlib.NewReader(bytes.NewReader(body))
		default:
			return body, nil
		}
		if err != nil {
			return body, err
		}
		if body, err = io.ReadAll(io.LimitReader(r, maxDecoded)); err != nil {
			return body, err
		}
	}
	return body, nil
}

// gunzip takes a gzip file that begins anywhere in text.
func gunzip(text []byte, limit int) []byte {
	at := bytes.Index(text, []byte("\x1f\x8b\x08"))
	if at < 0 {
		return nil
	}
	r, err := gzip.NewReader(bytes.NewReader(text[at:]))
	if err != nil {
		return nil
	}
	return readUpTo(r, limit)
}

// inflateZlib undoes what HTTP calls deflate
// (https://www.rfc-editor.org/rfc/rfc9110#name-deflate-coding).
func inflateZlib(text []byte, limit int) []byte {
	r, err := zlib.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil
	}
	return readUpTo(r, limit)
}

// inflateRaw undoes deflate without zlib's header, as some servers send it.
func inflateRaw(text []byte, limit int) []byte {
	if !bytes.ContainsFunc(text[:min(len(text), 64)], func(r rune) bool { return r < '\t' || r > '~' }) {
		return nil // plain ASCII
	}
	return readUpTo(flate.NewReader(bytes.NewReader(text)), limit)
}

func readUpTo(r io.Reader, limit int) []byte {
	decoded, _ := io.ReadAll(io.LimitReader(r, int64(limit))) // what came before an error counts
	return decoded
}

// utf16Text decodes UTF-16. Every ASCII character has a zero byte there.
func utf16Text(order binary.ByteOrder) func([]byte, int) []byte {
	return func(text []byte, limit int) []byte {
		if bytes.IndexByte(text, 0) < 0 {
			return nil
		}
		var out bytes.Buffer
		for ; len(text) >= 2 && out.Len() < limit; text = text[2:] {
			r := rune(order.Uint16(text))
			if utf16.IsSurrogate(r) {
				r = '?' // no part of a token
			}
			out.WriteRune(r)
		}
		return out.Bytes()
	}
}

// utf32Text decodes UTF-32.
func utf32Text(order binary.ByteOrder) func([]byte, int) []byte {
	return func(text []byte, limit int) []byte {
		if !bytes.Contains(text, []byte{0, 0, 0}) {
			return nil
		}
		var out bytes.Buffer
		for ; len(text) >= 4 && out.Len() < limit; text = text[4:] {
			out.WriteRune(rune(order.Uint32(text)))
		}
		return out.Bytes()
	}
}

// unescapeJSON takes one level of JSON's escapes off the whole text, so that
// JSON within a JSON string becomes JSON. The quotation marks that were there
// go, so that what a string holds never passes for a part of the JSON around it.
func unescapeJSON(text []byte, limit int) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return nil
	}
	out := make([]byte, 0, min(len(text), limit))
	for at := 0; at < len(text) && len(out) < limit; at++ {
		if text[at] == '"' {
			out = append(out, '\n')
			continue
		}
		if text[at] != '\\' || at+1 == len(text) {
			out = append(out, text[at])
			continue
		}
		at++
		switch c := text[at]; c {
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 'b', 'f', 't':
			out = append(out, '\t')
		case 'u':
			code, err := strconv.ParseUint(string(text[at+1:min(at+5, len(text))]), 16, 16)
			if err != nil {
				out = append(out, '?') // no part of a token
				continue
			}
			out = utf8.AppendRune(out, rune(code))
			at += 4
		default:
			out = append(out, c)
		}
	}
	return out
}

var xmlEscapes = strings.NewReplacer("&quot;", `"`, "&#34;", `"`, "&#x22;", `"`, "&#X22;", `"`, "&amp;", "&")

// unescapeXML takes quotation marks out of the escapes of XML and HTML. Those
// that were there go, as in unescapeJSON.
func unescapeXML(text []byte, limit int) []byte {
	if bytes.IndexByte(text, '&') < 0 {
		return nil
	}
	return cut([]byte(xmlEscapes.Replace(string(withoutQuotes(text)))), limit)
}

func withoutQuotes(text []byte) []byte { return bytes.ReplaceAll(text, []byte{'"'}, []byte{'\n'}) }

var percentEscapes = compiled(`%[0-9a-fA-F]{2}`)

// unescapePercent undoes the encoding of URLs and HTML forms. Quotation marks
// that were there go, as in unescapeJSON.
func unescapePercent(text []byte, limit int) []byte {
	if bytes.IndexByte(text, '%') < 0 || !percentEscapes().Match(text) {
		return nil
	}
	return cut(percentEscapes().ReplaceAllFunc(withoutQuotes(text), func(escape []byte) []byte {
		decoded, _ := hex.DecodeString(string(escape[1:]))
		return decoded
	}), limit)
}

var (
	firstChunk = compiled(`^\s*[0-9a-fA-F]{1,8}(?:;[^\r\n]*)?\r\n`)
	chunkSizes = compiled(`(?:^|\r?\n)[0-9a-fA-F]{1,8}(?:;[^\r\n]*)?\r?\n`)
)

// joinChunks undoes a chunked encoding that was applied twice
// (https://www.rfc-editor.org/rfc/rfc9112#name-chunked-transfer-coding).
func joinChunks(text []byte, limit int) []byte {
	if !bytes.Contains(text, []byte("\r\n")) || !firstChunk().Match(text) {
		return nil
	}
	return readUpTo(httputil.NewChunkedReader(bytes.NewReader(bytes.TrimSpace(text))), limit)
}

// dropChunkSizes does what joinChunks does where that cannot: with other text
// before the chunks, or with wrong sizes.
func dropChunkSizes(text []byte, limit int) []byte {
	if bytes.IndexByte(text, '\n') < 0 {
		return nil
	}
	return changed(text, chunkSizes().ReplaceAll(text, nil), limit)
}

var eventFields = compiled(`(?m)^[ \t]*data:`)

// joinEvents takes out the field names of server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
func joinEvents(text []byte, limit int) []byte {
	if !bytes.Contains(text, []byte("data:")) {
		return nil
	}
	return changed(text, eventFields().ReplaceAll(text, nil), limit)
}

// declaresQuotedPrintable is a header of a part of a multipart answer
// (https://www.rfc-editor.org/rfc/rfc2045#section-6).
var declaresQuotedPrintable = compiled(`(?i)Content-Transfer-Encoding:[ \t]*quoted-printable`)

// unescapeQuotedPrintable undoes an encoding that a part declares. Its lines are
// short, so that it divides a token.
func unescapeQuotedPrintable(text []byte, limit int) []byte {
	const headers = 4096
	at := declaresQuotedPrintable().FindIndex(text[:min(len(text), headers)])
	if at == nil {
		return nil
	}
	return readUpTo(quotedprintable.NewReader(bytes.NewReader(text[at[1]:])), limit)
}

// shortestBase64 is the length of the shortest answer with a token in base64.
const shortestBase64 = 48

// isBase64 has the characters of both alphabets, and of line ends.
var isBase64 = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_\r\n") {
		is[c] = true
	}
	return is
}()

var base64Plain = strings.NewReplacer("\r", "", "\n", "", "-", "+", "_", "/")

// decodeBase64 decodes each part of text that is long and can be base64, in
// either alphabet.
func decodeBase64(text []byte, limit int) []byte {
	for _, blankLine := range []string{"\n\n", "\r\n\r\n"} { // as between a part's header and its body
		text = bytes.ReplaceAll(text, []byte(blankLine), []byte(" "))
	}
	var out bytes.Buffer
	for from := 0; from < len(text) && out.Len() < limit; {
		end := from
		for end < len(text) && isBase64[text[end]] {
			end++
		}
		if end-from >= shortestBase64 {
			decoded, _ := base64.RawStdEncoding.DecodeString(base64Plain.Replace(string(text[from:end]))) // up to an error
			out.Write(decoded)
			out.WriteByte('\n')
		}
		from = end + 1
	}
	return cut(out.Bytes(), limit)
}

// changed returns decoded unless it is what it was before.
func changed(text, decoded []byte, limit int) []byte {
	if bytes.Equal(text, decoded) {
		return nil
	}
	return cut(decoded, limit)
}

func cut(text []byte, limit int) []byte { return text[:min(len(text), limit)] }

// compiled compiles an expression when it is first used. Most processes never see
// an answer that needs one, and compiling all of them delays every cold start.
func compiled(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
