// SPDX-License-Identifier: BSD-3-Clause

package loop

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/term"
)

// A row is a line of the text. What does not apply is empty.
type row struct {
	at                                           uint64
	who, what, bytes, records, rmem, half, place string
	color                                        term.Color
}

// rows returns everything in order of time. What happens in a system call follows
// its line.
func (t *Trace) rows() []row {
	var rows []row
	for _, c := range t.Calls {
		r := row{at: c.From, who: t.Readers[c.Reader].Name, what: t.callText(c), rmem: fmt.Sprint(c.RMem)}
		if c.What != Send && c.Error == "" {
			r.bytes = strconv.Itoa(c.Bytes)
		}
		if c.Interrupted || c.Error != "" {
			r.color = term.Red
		}
		rows = append(rows, r)
	}
	for _, p := range t.Pages {
		what := fmt.Sprintf("page %d for %s", p.Nr, t.Readers[p.Reader].Name)
		if p.By != nil {
			what += ", set off by this " + t.Calls[*p.By].What
		}
		rows = append(rows, row{
			at: p.At, who: "kernel", what: what, bytes: fmt.Sprint(p.Bytes), records: fmt.Sprint(p.Records),
			rmem: fmt.Sprint(p.RMem), half: fmt.Sprint(p.RcvBuf / 2), place: fmt.Sprint(p.Place), color: term.Dim,
		})
	}
	for _, c := range t.Changes {
		rows = append(rows, row{at: c.At, who: "table", what: fmt.Sprintf("%s, generation %d", c.text(), c.Generation), color: term.Yellow})
	}
	for _, e := range t.Ends {
		what := "dump finished: " + t.Readers[e.Reader].Name
		if e.Abandoned {
			what = "dump abandoned: " + t.Readers[e.Reader].Name
		}
		rows = append(rows, row{at: e.At, who: "kernel", what: what, color: term.Dim})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.at, b.at) })
	return rows
}

func (t *Trace) callText(c Call) string {
	var text string
	switch {
	case c.What == Send:
		return "sends the request"
	case c.Error != "":
		return fmt.Sprintf("%ss: %s", c.What, c.Error)
	case c.Page == nil && c.What == Peek:
		text = "peeks at DONE, alone"
	case c.Page == nil:
		text = "reads DONE, alone"
	case c.What == Peek:
		text = fmt.Sprintf("peeks at page %d", t.Pages[*c.Page].Nr)
	default:
		text = fmt.Sprintf("reads page %d", t.Pages[*c.Page].Nr)
	}
	if c.Page != nil && t.done(c) {
		text += " and DONE"
	}
	if c.Interrupted {
		text += ", interrupted"
	}
	return text
}

// done tells whether NLMSG_DONE came with a call.
func (t *Trace) done(c Call) bool {
	if c.What == Send || c.Error != "" {
		return false
	}
	return c.Page == nil || t.Pages[*c.Page].Last && c.Bytes > int(t.Pages[*c.Page].Bytes)
}

// text says what changed, without the generation. A flush has no id.
func (c Change) text() string {
	if c.What == "flush" {
		return c.What
	}
	return fmt.Sprintf("%s %d", c.What, c.ID)
}

// WriteTable writes a line for each thing that happened. HALF is half of the
// receive buffer: with more than that in RMEM, a read sets nothing off.
func (t *Trace) WriteTable(out *output.Stdout) error {
	rows := t.rows()
	cells := [][]string{{"MS", "WHO", "WHAT", "BYTES", "RECORDS", "RMEM", "HALF", "PLACE"}}
	for _, r := range rows {
		cells = append(cells, r.cells(fmt.Sprintf("%d.%03d", r.at/1000, r.at%1000)))
	}
	return out.Table(cells, func(line int) term.Color {
		if line == 0 {
			return term.Plain
		}
		return rows[line-1].color
	})
}

// WriteCSV writes the same for programs.
func (t *Trace) WriteCSV(out *output.Stdout) error {
	cells := [][]string{{"us", "who", "what", "bytes", "records", "rmem", "half", "place"}}
	for _, r := range t.rows() {
		cells = append(cells, r.cells(strconv.FormatUint(r.at, 10)))
	}
	return out.CSV(cells)
}

func (r row) cells(at string) []string {
	return []string{at, r.who, r.what, r.bytes, r.records, r.rmem, r.half, r.place}
}
