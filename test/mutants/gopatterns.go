// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
)

// A gopattern makes wrong changes of one node of a Go function.
type gopattern struct {
	name string
	make func(n ast.Node, g gofile)
}

// A gofile is what a gopattern needs of the file: its text, and how to change it.
type gofile struct {
	src    string
	at     func(token.Pos) int
	change func(edits ...edit)
}

func (g gofile) span(n ast.Node) (start, end int) { return g.at(n.Pos()), g.at(n.End()) }

func (g gofile) text(n ast.Node) string {
	start, end := g.span(n)
	return g.src[start:end]
}

func (g gofile) replace(n ast.Node, text string) {
	start, end := g.span(n)
	g.change(edit{start, end, text})
}

// wrap puts text before and after a node.
func (g gofile) wrap(n ast.Node, before, after string) {
	start, end := g.span(n)
	g.change(edit{start, start, before}, edit{end, end, after})
}

var gopatterns = []gopattern{
	{"go-assignment-lost", goAssignmentLost},
	{"go-branch-skipped", func(n ast.Node, g gofile) {
		if s, ok := n.(*ast.IfStmt); ok {
			g.wrap(s.Cond, "(", ") && false")
		}
	}},
	{"go-call-lost", func(n ast.Node, g gofile) {
		if s, ok := n.(*ast.ExprStmt); ok {
			g.replace(s, "")
		}
	}},
	{"go-comparison", goComparison},
	{"go-defer-lost", func(n ast.Node, g gofile) {
		if s, ok := n.(*ast.DeferStmt); ok {
			g.replace(s, "")
		}
	}},
	{"go-error-lost", goErrorLost},
	{"go-flag-lost", func(n ast.Node, g gofile) {
		if b, ok := n.(*ast.BinaryExpr); ok && b.Op == token.OR {
			g.replace(b, g.text(b.X))
		}
	}},
	{"go-increment-lost", goIncrementLost},
	{"go-negated", func(n ast.Node, g gofile) {
		if s, ok := n.(*ast.IfStmt); ok {
			g.wrap(s.Cond, "!(", ")")
		}
	}},
	{"go-number", func(n ast.Node, g gofile) {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.INT {
			g.replace(l, "("+l.Value+" + 1)")
		}
	}},
	{"go-operand-lost", func(n ast.Node, g gofile) {
		if b, ok := n.(*ast.BinaryExpr); ok && (b.Op == token.LAND || b.Op == token.LOR) {
			g.replace(b, g.text(b.X))
			g.replace(b, g.text(b.Y))
		}
	}},
	{"go-return-changed", goReturnChanged},
	{"go-slice-bound", func(n ast.Node, g gofile) {
		if s, ok := n.(*ast.SliceExpr); ok {
			if s.Low != nil {
				g.wrap(s.Low, "", "+1")
			}
			if s.High != nil {
				g.wrap(s.High, "", "-1")
			}
		}
	}},
}

func goAssignmentLost(n ast.Node, g gofile) {
	if s, ok := n.(*ast.AssignStmt); ok && s.Tok == token.ASSIGN && len(s.Lhs) == 1 {
		if name, ok := s.Lhs[0].(*ast.Ident); !ok || name.Name != "_" {
			g.replace(s.Lhs[0], "_")
		}
	}
}

func goComparison(n ast.Node, g gofile) {
	b, ok := n.(*ast.BinaryExpr)
	if !ok {
		return
	}
	to := map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "=="}[b.Op]
	if to != "" {
		at := g.at(b.OpPos)
		g.change(edit{at, at + len(b.Op.String()), to})
	}
}

// goErrorLost returns nil where there is an error.
func goErrorLost(n ast.Node, g gofile) {
	s, ok := n.(*ast.ReturnStmt)
	if !ok || len(s.Results) == 0 {
		return
	}
	switch last := s.Results[len(s.Results)-1].(type) {
	case *ast.Ident:
		if last.Name == "err" {
			g.replace(last, "nil")
		}
	case *ast.CallExpr:
		if text := g.text(last.Fun); text == "fmt.Errorf" || text == "errors.New" || text == "errors.Join" {
			g.replace(last, "nil")
		}
	case *ast.UnaryExpr, *ast.CompositeLit:
		g.replace(last, "nil") // an error of a type of its own, if this compiles
	}
}

func goIncrementLost(n ast.Node, g gofile) {
	switch s := n.(type) {
	case *ast.IncDecStmt:
		g.replace(s, "_ = "+g.text(s.X))
	case *ast.AssignStmt:
		if s.Tok != token.ASSIGN && s.Tok != token.DEFINE {
			g.replace(s, "_ = "+g.text(s.Rhs[0]))
		}
	}
}

func goReturnChanged(n ast.Node, g gofile) {
	s, ok := n.(*ast.ReturnStmt)
	if !ok {
		return
	}
	for _, r := range s.Results {
		if name, ok := r.(*ast.Ident); ok {
			if to := map[string]string{"true": "false", "false": "true"}[name.Name]; to != "" {
				g.replace(name, to)
			}
		}
	}
}

// mutateGo makes all mutants of a Go source.
func mutateGo(file, src string) ([]*mutant, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []*mutant
	for _, d := range parsed.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		for _, p := range gopatterns {
			g := gofile{src: src, at: func(pos token.Pos) int { return set.Position(pos).Offset }}
			g.change = func(edits ...edit) {
				if m := newMutant(p.name, file, goName(fn), src, edits); m != nil {
					all = append(all, m)
				}
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if n != nil {
					p.make(n, g)
				}
				return true
			})
		}
	}
	return all, nil
}

// goName is the function's name, after that of its receiver's type.
func goName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}
