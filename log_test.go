package portcullis_test

import (
	"fmt"
	"go/ast"
	"os"
	"slices"
	"testing"
)

// nameless returns the lines that are logged where there is a context, and without it: they would not name the request
// that they belong to.
func nameless(s source) []string {
	var wrong []string
	var visit func(n ast.Node, known bool)
	visit = func(n ast.Node, known bool) {
		ast.Inspect(n, func(m ast.Node) bool {
			switch d := m.(type) {
			case *ast.FuncDecl:
				if d != n {
					visit(d, takesContext(d.Type))
				}
				return d == n
			case *ast.FuncLit:
				if d != n {
					visit(d, known || takesContext(d.Type))
				}
				return d == n
			case *ast.CallExpr:
				if known && logs(d) {
					wrong = append(wrong, fmt.Sprintf("%s logs without its context", s.fileSet.Position(d.Pos())))
				}
			}
			return true
		})
	}
	visit(s.syntax, false)
	return wrong
}

// logs reports whether a call is one of slog's that take no context.
func logs(c *ast.CallExpr) bool {
	selector, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || len(c.Args) == 0 || !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, selector.Sel.Name) {
		return false
	}
	_, text := c.Args[0].(*ast.BasicLit)
	return text
}

func takesContext(f *ast.FuncType) bool {
	return slices.ContainsFunc(f.Params.List, func(p *ast.Field) bool {
		of, ok := p.Type.(*ast.SelectorExpr)
		return ok && of.Sel.Name == "Context" && slices.ContainsFunc(p.Names, func(n *ast.Ident) bool { return n.Name != "_" })
	})
}

func TestEveryLineOfALogCanNameItsRequest(t *testing.T) {
	all, err := sources(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.test || !s.in("services") {
			continue
		}
		for _, wrong := range nameless(s) {
			t.Error(wrong)
		}
	}
}
