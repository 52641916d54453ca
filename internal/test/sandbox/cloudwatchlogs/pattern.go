package cloudwatchlogs

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// matcher reports whether a line matches a filter pattern.
type matcher func(line string) bool

// parse reads a filter pattern
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html):
// terms, or comparisons of JSON members by = and != with && and || between
// them.
func parse(pattern string) (matcher, error) {
	pattern = strings.TrimSpace(pattern)
	inner, isJSON := strings.CutPrefix(pattern, "{")
	if !isJSON {
		return parseTerms(pattern)
	}
	inner, closed := strings.CutSuffix(inner, "}")
	if !closed {
		return nil, fmt.Errorf("no } at the end of %q", pattern)
	}
	p := &parser{tokens: wordForm.FindAllString(inner, -1)}
	matches, err := p.any()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("unexpected %q", p.tokens[0])
	}
	if err != nil {
		return nil, err
	}
	return func(line string) bool {
		var object map[string]any
		return json.Unmarshal([]byte(line), &object) == nil && matches(object)
	}, nil
}

var (
	termForm = regexp.MustCompile(`[?-]?"[^"]*"|\S+`)
	wordForm = regexp.MustCompile(`&&|\|\||!=|[<>]=?|[()=]|"[^"]*"|[^\s()=!<>&|"]+`)
)

// parseTerms reads unstructured terms: a line has each plain term, none with a
// minus and, where all have a question mark, one of those.
func parseTerms(pattern string) (matcher, error) {
	var all, none, optional []string
	for _, term := range termForm.FindAllString(pattern, -1) {
		kind, text := term[0], strings.TrimLeft(term, "?-")
		text = strings.Trim(text, `"`)
		switch kind {
		case '?':
			optional = append(optional, text)
		case '-':
			none = append(none, text)
		default:
			all = append(all, text)
		}
	}
	return func(line string) bool {
		has := func(term string) bool { return strings.Contains(line, term) }
		for _, term := range none {
			if has(term) {
				return false
			}
		}
		for _, term := range all {
			if !has(term) {
				return false
			}
		}
		found := len(optional) == 0 || len(all) > 0
		for _, term := range optional {
			found = found || has(term)
		}
		return found
	}, nil
}

type parser struct{ tokens []string }

type condition func(object map[string]any) bool

func (p *parser) take() string {
	if len(p.tokens) == 0 {
		return ""
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *parser) follows(token string) bool {
	if len(p.tokens) == 0 || p.tokens[0] != token {
		return false
	}
	p.take()
	return true
}

func (p *parser) any() (condition, error) {
	left, err := p.all()
	for err == nil && p.follows("||") {
		var right condition
		first := left
		right, err = p.all()
		left = func(o map[string]any) bool { return first(o) || right(o) }
	}
	return left, err
}

func (p *parser) all() (condition, error) {
	left, err := p.one()
	for err == nil && p.follows("&&") {
		var right condition
		first := left
		right, err = p.one()
		left = func(o map[string]any) bool { return first(o) && right(o) }
	}
	return left, err
}

func (p *parser) one() (condition, error) {
	if p.follows("(") {
		inner, err := p.any()
		if err == nil && !p.follows(")") {
			err = fmt.Errorf("no ) in the pattern")
		}
		return inner, err
	}
	selector, operator, want := p.take(), p.take(), p.take()
	keys, ok := strings.CutPrefix(selector, "$.")
	if !ok || operator != "=" && operator != "!=" || want == "" {
		return nil, fmt.Errorf(`the sandbox takes $.name = "value" or $.name != "value", not %q`, strings.TrimSpace(selector+" "+operator+" "+want))
	}
	// Only * is special.
	form := regexp.MustCompile(`(?s)\A` + strings.ReplaceAll(regexp.QuoteMeta(strings.Trim(want, `"`)), `\*`, `.*`) + `\z`)
	return func(o map[string]any) bool {
		got, found := member(o, keys)
		if !found {
			return false
		}
		return form.MatchString(got) == (operator == "=")
	}, nil
}

// member returns the text of a string, number or boolean in nested objects.
func member(object map[string]any, keys string) (string, bool) {
	first, rest, nested := strings.Cut(keys, ".")
	value, found := object[first]
	if inner, ok := value.(map[string]any); ok && nested {
		return member(inner, rest)
	}
	if !found || nested {
		return "", false
	}
	switch v := value.(type) {
	case string:
		return v, true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
