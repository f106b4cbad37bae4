// Bench measures what Portcullis promises about its speed, each beside its limit in the same run.
//
// Usage: go run ./bench [-out FILE] [-only PART]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// measurements are the parts of the table, in its order.
var measurements = []struct {
	name string
	run  func(context.Context) ([]row, error)
}{
	{"decide", decide},
	{"check", checks},
	{"envoy", envoys},
	{"guard", guards},
	{"apply", applies},
	{"watchers", watchers},
	{"resume", resume},
	{"append", appends},
	{"sockets", sockets},
	{"sessions", sessions},
	{"snapshot", snapshots},
	{"mail", mailing},
	{"enforcers", enforcers},
}

func main() {
	out := flag.String("out", "", "file for the same rows as JSON lines")
	only := flag.String("only", "", "measure the parts whose name begins so")
	child := flag.String("child", "", "for its own second process")
	flag.Parse()
	if *child != "" {
		fmt.Fprintln(os.Stderr, runChild(*child, flag.Args()))
		os.Exit(1)
	}
	rows, err := measure(context.Background(), *only)
	stopProduct()
	if printing := printTable(os.Stdout, rows); err == nil {
		err = printing
	}
	if *out != "" && err == nil {
		err = writeLines(*out, rows)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, only string) ([]row, error) {
	var rows []row
	var failed []string
	for _, m := range measurements {
		if !strings.HasPrefix(m.name, only) {
			continue
		}
		began := time.Now()
		fmt.Fprintf(os.Stderr, "measuring %s … ", m.name)
		more, err := m.run(ctx)
		fmt.Fprintf(os.Stderr, "%.0f s\n", time.Since(began).Seconds())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = append(failed, m.name+": "+short(err))
		}
		rows = append(rows, more...)
	}
	if len(failed) > 0 {
		return rows, fmt.Errorf("not measured: %s", strings.Join(failed, "; "))
	}
	return rows, nil
}
