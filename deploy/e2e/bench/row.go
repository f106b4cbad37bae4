package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
)

// row is one line of the table: a speed beside its limit, both measured in this run.
type row struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Limit     float64 `json:"limit"`
	LimitName string  `json:"limitName"`
	Ratio     float64 `json:"ratio"`

	target target
}

// target is what is asked of a row: of its ratio, or of its value where it has no limit.
type target struct {
	ofValue bool
	least   bool // at least; at most otherwise
	bound   float64
}

func atMost(bound float64) target  { return target{bound: bound} }
func atLeast(bound float64) target { return target{bound: bound, least: true} }

// absolute asks it of the value itself.
func (t target) absolute() target { t.ofValue = true; return t }

func (t target) String() string {
	sign, of := "≤", "×"
	if t.least {
		sign = "≥"
	}
	if t.ofValue {
		of = ""
	}
	return fmt.Sprintf("%s %s%s", sign, number(t.bound), of)
}

// beside answers a row whose ratio is value by limit.
func beside(name string, value float64, unit, limitName string, limit float64, t target) row {
	r := row{Name: name, Value: value, Unit: unit, Limit: limit, LimitName: limitName, target: t}
	if limit != 0 {
		r.Ratio = value / limit
	}
	return r
}

// by takes the ratio as it was measured pair by pair, which what else the machine does disturbs least.
func (r row) by(ratio float64) row { r.Ratio = ratio; return r }

// alone answers a row without a limit beside it.
func alone(name string, value float64, unit string, t target) row {
	return row{Name: name, Value: value, Unit: unit, LimitName: "none", target: t.absolute()}
}

func (r row) met() bool {
	got := r.Ratio
	if r.target.ofValue {
		got = r.Value
	}
	if r.target.least {
		return got >= r.target.bound
	}
	return got <= r.target.bound
}

func number(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n >= 1000:
		return fmt.Sprintf("%.0f", n)
	case n >= 10:
		return fmt.Sprintf("%.1f", n)
	case n >= 0.01:
		return fmt.Sprintf("%.2f", n)
	}
	return fmt.Sprintf("%.2g", n)
}

func printTable(out io.Writer, rows []row) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "what\tmeasured\t\tlimit in the same run\t\tratio\tasked\t")
	for _, r := range rows {
		limit, ratio, verdict := "", "", "met"
		if r.Limit != 0 {
			limit, ratio = number(r.Limit)+" "+r.Unit, number(r.Ratio)
		}
		if !r.met() {
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, number(r.Value), r.Unit, r.LimitName, limit, ratio, r.target, verdict)
	}
	return w.Flush()
}

func writeLines(file string, rows []row) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := json.NewEncoder(f)
	lines.SetEscapeHTML(false)
	for _, r := range rows {
		if err := lines.Encode(r); err != nil {
			return err
		}
	}
	return f.Close()
}
