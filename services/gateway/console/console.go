// Package console holds the built web console and serves it. Its sources are in ../web; what Vite makes of
// them is committed in dist, so that a build of the gateway needs no Node.
package console

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// policy lets pages have our own scripts and nothing from elsewhere. The library of controls sets styles on
// elements, so styles may be inline; scripts never.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// kinds are what Vite makes. A machine may know them by other names, or not at all.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// Console is the built pages.
type Console struct{ files map[string]file }

type file struct {
	kind       string
	text, zip  []byte
	neverMoves bool // its name changes with its content
}

// New reads what was built in, and compresses it once.
func New() (*Console, error) {
	c := &Console{files: map[string]file{}}
	err := fs.WalkDir(dist, "dist", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		place := strings.TrimPrefix(name, "dist")
		if place == page {
			place = "/"
		}
		c.files[place] = file{kinds[path.Ext(name)], text, compressed(text), strings.HasPrefix(place, "/assets/")}
		return nil
	})
	return c, err
}

func compressed(text []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is one
	_, _ = w.Write(text)                                    // a buffer takes it
	_ = w.Close()
	if out.Len() >= len(text) {
		return nil
	}
	return out.Bytes()
}

// page is the one page, which every address opens.
const page = "/index.html"

// Has reports whether a request is the console's: one of its files, or a page that a person opens.
func (c *Console) Has(r *http.Request) bool {
	_, file := c.files[r.URL.Path]
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (file || opens(r))
}

// opens reports whether somebody opens a page in a browser: every path that is not the API's is the console's.
func opens(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, "/v1") && !strings.HasPrefix(r.URL.Path, "/assets/") &&
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := c.files[r.URL.Path]
	if !ok {
		f = c.files["/"]
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("Vary", "Accept-Encoding")
	if f.neverMoves {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	text := f.text
	if f.zip != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		text = f.zip
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // who has gone needs no answer
	}
}
