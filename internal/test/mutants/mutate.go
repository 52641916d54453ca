package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// mutant is one change of one source file.
type mutant struct {
	file       string // its path, from the root of the module
	source     string // of the file, unchanged
	line       int
	start, end int    // the bytes that are replaced
	with       string // what replaces them
	name       string // function, old and new text; no line number, so that it stays
}

// key names a mutant in the list of equivalents.
func (m mutant) key() string { return m.file[strings.LastIndex(m.file, "/")+1:] + " " + m.name }

// mutator collects the mutants of one file.
type mutator struct {
	path    string
	source  string
	files   *token.FileSet
	scope   string         // the function or the table that is changed
	results []string       // the types of the function's results
	seen    map[string]int // mutants by name
	changes map[string]bool
	negated map[ast.Expr]bool // as a whole
	found   []mutant
}

// mutantsOf returns the mutants of a file: those of every function and table
// that is wanted.
func mutantsOf(path, source string, wanted func(name string) bool) ([]mutant, error) {
	m := &mutator{path: path, source: source, files: token.NewFileSet(), seen: map[string]int{}, changes: map[string]bool{}, negated: map[ast.Expr]bool{}}
	parsed, err := parser.ParseFile(m.files, path, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, decl := range parsed.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if wanted(d.Name.Name) && d.Body != nil {
				m.scope, m.results = d.Name.Name, m.types(d.Type.Results)
				ast.Inspect(d.Body, m.visit)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR && wanted(v.Names[0].Name) {
					m.scope = v.Names[0].Name
					ast.Inspect(v, m.cell)
				}
			}
		}
	}
	return m.found, nil
}

func (m *mutator) text(n ast.Node) string {
	return m.source[m.offset(n.Pos()):m.offset(n.End())]
}

func (m *mutator) offset(p token.Pos) int { return m.files.Position(p).Offset }

// types returns the type of each result, with one for each name.
func (m *mutator) types(results *ast.FieldList) (types []string) {
	if results == nil {
		return nil
	}
	for _, field := range results.List {
		for range max(len(field.Names), 1) {
			types = append(types, m.text(field.Type))
		}
	}
	return types
}

// replace adds the mutant in which the text from start to end is another.
func (m *mutator) replace(start, end token.Pos, with string) {
	from, to := m.offset(start), m.offset(end)
	change := fmt.Sprint(from, " ", to, " ", with)
	if m.changes[change] {
		return
	}
	m.changes[change] = true
	name := m.scope + ": " + shorten(m.source[from:to]) + " → " + shorten(with)
	if m.seen[name]++; m.seen[name] > 1 {
		name += fmt.Sprintf(" (%d)", m.seen[name])
	}
	m.found = append(m.found, mutant{m.path, m.source, m.files.Position(start).Line, from, to, with, name})
}

// shorten makes one line of a piece of source.
func shorten(source string) string {
	source = strings.Join(strings.Fields(source), " ")
	if runes := []rune(source); len(runes) > 90 {
		source = string(runes[:90]) + "…"
	}
	if source == "" {
		return "nothing"
	}
	return source
}

func (m *mutator) negate(e ast.Expr) {
	m.negated[e] = true
	m.replace(e.Pos(), e.End(), "!("+m.text(e)+")")
}

func (m *mutator) remove(n ast.Node) { m.replace(n.Pos(), n.End(), "") }

// opposite is the comparison that is true where the other is false; boundary
// is the one that differs only where both sides are equal.
var (
	opposite = map[token.Token]string{
		token.EQL: "!=", token.NEQ: "==", token.LSS: ">=", token.LEQ: ">", token.GTR: "<=", token.GEQ: "<",
	}
	boundary = map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}
)

// visit adds the mutants of one node of a function.
func (m *mutator) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		m.negate(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			m.negate(n.Cond)
		}
	case *ast.SwitchStmt:
		m.cases(n)
	case *ast.BinaryExpr:
		m.binary(n)
	case *ast.UnaryExpr:
		if n.Op == token.NOT && !m.negated[n] {
			m.replace(n.Pos(), n.End(), m.text(n.X))
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "min" || f.Name == "max") {
			m.replace(f.Pos(), f.End(), map[string]string{"min": "max", "max": "min"}[f.Name])
		}
	case *ast.ExprStmt, *ast.DeferStmt, *ast.IncDecStmt, *ast.BranchStmt:
		m.remove(n)
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			m.remove(n)
		}
	case *ast.ReturnStmt:
		m.result(n)
	case *ast.FuncLit:
		outer := m.results
		m.results = m.types(n.Type.Results)
		ast.Inspect(n.Body, m.visit)
		m.results = outer
		return false
	}
	return true
}

// cases drops each case, and each expression of one that has several.
func (m *mutator) cases(s *ast.SwitchStmt) {
	for _, statement := range s.Body.List {
		clause := statement.(*ast.CaseClause)
		m.remove(clause)
		for i, e := range clause.List {
			if s.Tag == nil {
				m.negate(e)
			}
			switch {
			case len(clause.List) == 1:
			case i == 0:
				m.replace(e.Pos(), clause.List[1].Pos(), "")
			default:
				m.replace(clause.List[i-1].End(), e.End(), "")
			}
		}
	}
}

func (m *mutator) binary(b *ast.BinaryExpr) {
	at := b.OpPos + token.Pos(len(b.Op.String()))
	switch {
	case b.Op == token.LAND || b.Op == token.LOR:
		swapped := map[token.Token]string{token.LAND: "||", token.LOR: "&&"}[b.Op]
		m.replace(b.Pos(), b.End(), "("+m.text(b.X)+") "+swapped+" ("+m.text(b.Y)+")")
		m.replace(b.Pos(), b.End(), m.text(b.X))
		m.replace(b.Pos(), b.End(), m.text(b.Y))
	case opposite[b.Op] != "":
		if other := boundary[b.Op]; other != "" {
			m.replace(b.OpPos, at, other)
		}
		if !m.negated[b] {
			m.replace(b.OpPos, at, opposite[b.Op])
		}
	}
}

// result returns success instead of an error, or the opposite of a decision.
func (m *mutator) result(r *ast.ReturnStmt) {
	if len(r.Results) != len(m.results) {
		return
	}
	for i, e := range r.Results {
		switch m.results[i] {
		case "bool":
			m.negate(e)
		case "error", "*Error", "*AnswerError":
			if m.text(e) != "nil" {
				m.replace(e.Pos(), e.End(), "nil")
			}
		}
	}
}

// cell drops an entry of a table, or has it name another action.
func (m *mutator) cell(n ast.Node) bool {
	entry, ok := n.(*ast.KeyValueExpr)
	if !ok {
		return true
	}
	end := entry.End()
	if m.source[m.offset(end)] == ',' {
		end++
	}
	m.replace(entry.Pos(), end, "")
	actions := []string{"probe", "rotate", "search", "giveUp"}
	for _, is := range actions {
		for _, other := range actions {
			if m.text(entry.Value) == is && other != is {
				m.replace(entry.Value.Pos(), entry.Value.End(), other)
			}
		}
	}
	return true
}
