package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/portmesh/portmesh/benchmarks/bench"
)

// A report is all that was measured, as the file has it.
type report struct {
	Machine machine
	Started time.Time
	Seconds float64
	Rounds  int
	Scale   float64 // of the whole work
	Tables  []*table
}

// write writes the report to a file, as JSON.
func (r *report) write(file string) error {
	content, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}

// A table has what was measured of one work.
type table struct {
	Work string
	Rows []*row
}

// A row has the rounds of one peer.
type row struct {
	Peer   string
	Rounds []bench.Measurement
	Failed []string // why the other rounds have no measurement
}

// add adds a round.
func (t *table) add(peer string, m bench.Measurement, err error) {
	i := slices.IndexFunc(t.Rows, func(r *row) bool { return r.Peer == peer })
	if i < 0 {
		i = len(t.Rows)
		t.Rows = append(t.Rows, &row{Peer: peer})
	}
	if err != nil {
		t.Rows[i].Failed = append(t.Rows[i].Failed, err.Error())
		return
	}
	t.Rows[i].Rounds = append(t.Rows[i].Rounds, m)
}

// values returns a metric of all rounds, the smallest first.
func (r *row) values(metric string) []float64 {
	var values []float64
	for _, m := range r.Rounds {
		if v, ok := m[metric]; ok {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return values
}

// best returns the best median that any of the other runtimes has. A bare
// connection is not one of them.
func (t *table) best(c column) (best float64) {
	for _, r := range t.Rows {
		values := r.values(c.metric)
		if isOurs(r.Peer) || r.Peer == "tcp" || len(values) == 0 {
			continue
		}
		if m := median(values); best == 0 || c.less && m < best || !c.less && m > best {
			best = m
		}
	}
	return best
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// print writes the table: medians, in brackets the smallest and the largest,
// and the first column also as a ratio to the best of the others.
func (t *table) print(out io.Writer, columns []column) {
	fmt.Fprintf(out, "\n%s\n", t.Work)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "  peer\tratio")
	for _, c := range columns {
		fmt.Fprintf(w, "\t%s", c.title)
	}
	fmt.Fprintln(w)
	var best float64
	if slices.ContainsFunc(t.Rows, func(r *row) bool { return isOurs(r.Peer) }) {
		best = t.best(columns[0])
	}
	for _, r := range t.Rows {
		fmt.Fprintf(w, "  %s", r.Peer)
		for i, c := range columns {
			values := r.values(c.metric)
			if i == 0 {
				fmt.Fprint(w, "\t")
				if len(values) > 0 && best > 0 {
					fmt.Fprintf(w, "%.2f", median(values)/best)
				}
			}
			fmt.Fprint(w, "\t")
			if len(values) > 0 {
				fmt.Fprint(w, c.format(median(values)))
			}
			if len(values) > 1 {
				fmt.Fprintf(w, " (%s - %s)", c.format(values[0]), c.format(values[len(values)-1]))
			}
		}
		if len(r.Failed) > 0 {
			fmt.Fprintf(w, "\t%d failed", len(r.Failed))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

// format writes a value in a few digits.
func (c column) format(v float64) string {
	if strings.HasSuffix(c.metric, "rss") {
		v /= 1 << 20
	}
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1f k", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}
