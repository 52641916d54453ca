package panther

import (
	"bytes"
	"encoding/json"
	"slices"
)

// search looks for one string in an answer that may not be strict JSON. It
// finds the string wherever an object with the first key of path is, whatever
// stands around that object, and under every encoding in [decodings].
//
// It does not look into the value of a key "errors", since error messages
// quote what was asked for.
type search struct {
	// path are the keys from an object's key to the string.
	path []string
	// accepts reports whether a string may be the one.
	accepts func(string) bool
	// budget bounds the bytes that are decoded and walked.
	budget int
}

const (
	// maxNested bounds encodings within encodings.
	maxNested = 6
	// maxOpen bounds objects and lists within each other.
	maxOpen = 64
	// viewCost is charged for each decoding, so that many small ones end, too.
	viewCost = 512
)

// find returns the string at path, which begins in the object "data". What
// strict JSON has there only has to be wanted. Otherwise the body is searched,
// and a string has to be plausible, too.
func find(body []byte, wanted, plausible func(string) bool, path ...string) (string, bool) {
	if found, ok := stringAt(body, append([]string{"data"}, path...)...); ok && wanted(found) {
		return found, true
	}
	s := search{path: path, accepts: func(s string) bool { return wanted(s) && plausible(s) }, budget: maxSearched}
	return s.find(body, 0)
}

func (s *search) find(text []byte, depth int) (string, bool) {
	text = withoutErrors(text)
	// This encoding leaves quotation marks as they are, so that a token would
	// be found with its escapes.
	if found, ok := s.findDecoded(unescapeQuotedPrintable, text, depth); ok {
		return found, true
	}
	if found, ok := s.findAnywhere(text); ok {
		return found, true
	}
	for _, decode := range decodings {
		if found, ok := s.findDecoded(decode, text, depth); ok {
			return found, true
		}
	}
	return "", false
}

func (s *search) findDecoded(decode decoding, text []byte, depth int) (string, bool) {
	if depth == maxNested || s.budget <= 0 {
		return "", false
	}
	decoded := decode(text, s.budget)
	if len(decoded) == 0 {
		return "", false
	}
	s.budget -= len(decoded) + viewCost
	return s.find(decoded, depth+1)
}

// findAnywhere tries each quotation mark as the beginning of the first key, so
// that nothing before the key matters.
func (s *search) findAnywhere(text []byte) (string, bool) {
	for i := bytes.IndexByte(text, '"'); i >= 0 && s.budget > 0; {
		if value, ok := cutKey(text[i:], s.path[0]); ok {
			if found, ok := s.findIn(value, s.path[1:]); ok {
				return found, true
			}
		}
		next := bytes.IndexByte(text[i+1:], '"')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return "", false
}

// findIn walks one value, in which path begins. It minds strings, braces,
// brackets, colons and commas, and passes over everything else.
func (s *search) findIn(text []byte, path []string) (string, bool) {
	var open []string // the keys of the objects and lists that have begun
	var key string
	for at := 0; at < len(text) && len(open) < maxOpen && s.budget > 0; at++ {
		s.budget--
		switch text[at] {
		case '{', '[':
			open = append(open, key)
			key = ""
		case '}', ']':
			if len(open) <= 1 {
				return "", false
			}
			open = open[:len(open)-1]
			key = ""
		case ',':
			if len(open) == 0 {
				return "", false
			}
			key = ""
		case '"':
			raw, ok := cutString(text[at:])
			if !ok {
				return "", false
			}
			s.budget -= len(raw)
			at += len(raw) - 1
			if colon, ok := nextIs(text[at+1:], ':'); ok {
				key = unquote(raw)
				at += colon
				continue
			}
			if found, ok := s.take(raw, text[at+1:], append(open, key), path); ok {
				return found, true
			}
			if len(open) == 0 {
				return "", false
			}
			key = ""
		}
	}
	return "", false
}

// take decides about one string: it is the one that is looked for, or it may
// hold JSON in which the rest of path is, as GraphQL types for JSON have it.
func (s *search) take(raw, after []byte, keys, path []string) (string, bool) {
	last := keys[len(keys)-1]
	keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return key == "" }) // of lists
	if len(keys) > len(path) || !slices.Equal(keys, path[:len(keys)]) {
		return "", false
	}
	found := unquote(raw)
	if len(keys) < len(path) {
		return s.findIn([]byte(found), path[len(keys):])
	}
	return found, last != "" && closes(after) && s.accepts(found)
}

// withoutErrors returns text with the lists of errors blanked out, as far as
// their ends can be told.
func withoutErrors(text []byte) []byte {
	copied := false
	for at := 0; ; {
		next := bytes.IndexByte(text[at:], '"')
		if next < 0 {
			return text
		}
		at += next
		value, ok := cutKey(text[at:], "errors")
		length := 0
		if ok {
			length = valueLength(value)
		}
		if length == 0 {
			at++
			continue
		}
		if !copied {
			text, copied = bytes.Clone(text), true
		}
		from := len(text) - len(value)
		for i := range length {
			text[from+i] = ' '
		}
		at = from + length
	}
}

// valueLength returns the length of the list, object or string at the
// beginning of text, and 0 if there is none or its end is missing.
func valueLength(text []byte) int {
	open := 0
	for at := 0; at < len(text); at++ {
		switch c := text[at]; c {
		case '{', '[':
			open++
		case '}', ']':
			open--
		case '"':
			raw, ok := cutString(text[at:])
			if !ok {
				return 0
			}
			at += len(raw) - 1
		default:
			if open == 0 && !isBlank(c) {
				return 0
			}
			continue
		}
		if open <= 0 {
			return at + 1
		}
	}
	return 0
}

// cutKey returns what follows the key and its colon at the beginning of text.
func cutKey(text []byte, key string) ([]byte, bool) {
	const longestEscape = len(`\u0061`)
	head := text[:min(len(text), len(`""`)+longestEscape*len(key))]
	raw, ok := cutString(head)
	if !ok || unquote(raw) != key {
		return nil, false
	}
	colon, ok := nextIs(text[len(raw):], ':')
	return text[len(raw)+colon:], ok
}

// cutString returns the string, with its quotation marks, at the beginning of
// text. It is not ok if the closing one is missing.
func cutString(text []byte) ([]byte, bool) {
	for at := 1; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case '"':
			return text[:at+1], true
		}
	}
	return nil, false
}

// unquote decodes a JSON string. One that JSON does not allow becomes "".
func unquote(raw []byte) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// nextIs reports whether c is the next byte in text that is not blank, and
// how far text reaches up to and with it.
func nextIs(text []byte, c byte) (int, bool) {
	for at, b := range text {
		if !isBlank(b) {
			return at + 1, b == c
		}
	}
	return 0, false
}

// isBlank reports whether c is passed over between two parts of JSON: white
// space, control characters and the bytes of a byte order mark.
func isBlank(c byte) bool { return c <= ' ' || c >= 0x7f }

// closes reports whether the quotation mark before text ended a string. Where
// another text was put behind a string that was cut off, it begins one.
func closes(text []byte) bool {
	text = bytes.TrimLeft(text, " \t")
	if len(text) == 0 {
		return true
	}
	c := text[0]
	letter := c|0x20 >= 'a' && c|0x20 <= 'z'
	return !letter && (c < '0' || c > '9') && c != '_' && c != '$' && c != '\\' && c != ':'
}
