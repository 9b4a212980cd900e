// SPDX-License-Identifier: BSD-3-Clause

package loop

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
)

// A row is a line of the text: empty where there is nothing to tell.
type row struct {
	at                                           uint64
	who, what, bytes, records, rmem, half, place string
}

// rows has everything in order of time; what happens in a system call comes
// after its line.
func (t *Trace) rows() []row {
	var rows []row
	for _, c := range t.Calls {
		r := row{at: c.From, who: t.Readers[c.Reader].Name, what: t.callText(c), rmem: fmt.Sprint(c.RMem)}
		if c.What != Send && c.Error == "" {
			r.bytes = strconv.Itoa(c.Bytes)
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
			rmem: fmt.Sprint(p.RMem), half: fmt.Sprint(p.RcvBuf / 2), place: fmt.Sprint(p.Place),
		})
	}
	for _, c := range t.Changes {
		rows = append(rows, row{at: c.At, who: "table", what: fmt.Sprintf("%s, generation %d", c.text(), c.Generation)})
	}
	for _, e := range t.Ends {
		what := "dump finished: " + t.Readers[e.Reader].Name
		if e.Abandoned {
			what = "dump abandoned: " + t.Readers[e.Reader].Name
		}
		rows = append(rows, row{at: e.At, who: "kernel", what: what})
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

// text is what changed, without the generation. A flush has no id.
func (c Change) text() string {
	if c.What == "flush" {
		return c.What
	}
	return fmt.Sprintf("%s %d", c.What, c.ID)
}

// WriteTable writes a line for each thing that happened. HALF is half of the
// receive buffer: with more than that in RMEM, a read sets nothing off.
func (t *Trace) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "MS\tWHO\tWHAT\tBYTES\tRECORDS\tRMEM\tHALF\tPLACE")
	for _, r := range t.rows() {
		fmt.Fprintf(tw, "%d.%03d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			r.at/1000, r.at%1000, r.who, r.what, r.bytes, r.records, r.rmem, r.half, r.place)
	}
	return tw.Flush()
}

// WriteCSV writes the same for programs.
func (t *Trace) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"us", "who", "what", "bytes", "records", "rmem", "half", "place"})
	for _, r := range t.rows() {
		_ = c.Write([]string{fmt.Sprint(r.at), r.who, r.what, r.bytes, r.records, r.rmem, r.half, r.place})
	}
	c.Flush()
	return c.Error()
}
