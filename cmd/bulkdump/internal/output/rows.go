// SPDX-License-Identifier: BSD-3-Clause

package output

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"bulkdump/cmd/internal/term"
)

// A Field is one named value of a result that is no record.
type Field struct {
	Name  string
	Value any // an unsigned number, a *uint32 that may be nil, a string or a checksum
}

// F returns a Field.
func F(name string, value any) Field { return Field{name, value} }

// text is the value for formats other than JSON.
func (f Field) text() string {
	switch v := f.Value.(type) {
	case *uint32:
		if v == nil {
			return ""
		}
		return strconv.FormatUint(uint64(*v), 10)
	default:
		return fmt.Sprint(v)
	}
}

// Row writes one result: the fields as lines of name and value, or as CSV with a
// head, or the value as JSON.
func (o *Stdout) Row(fields []Field, value any) error {
	switch o.Format {
	case FormatJSON, FormatJSONL:
		return o.JSON(value)
	case FormatCSV:
		var names, values []string
		for _, f := range fields {
			names, values = append(names, f.Name), append(values, f.text())
		}
		return o.CSV([][]string{names, values})
	}
	return WriteFields(o, fields)
}

// WriteFields writes aligned lines of name and value. A value that is missing
// gets no line.
func WriteFields(w io.Writer, fields []Field) error {
	width := 0
	for _, f := range fields {
		width = max(width, len(f.Name))
	}
	var b bytes.Buffer
	for _, f := range fields {
		if text := f.text(); text != "" {
			fmt.Fprintf(&b, "%-*s  %s\n", width, f.Name, text)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// JSON writes the value: on one line with the format JSONL, indented otherwise.
func (o *Stdout) JSON(value any) error {
	indent := "  "
	if o.Format == FormatJSONL {
		indent = ""
	}
	return term.WriteJSON(o, value, indent)
}

// CSV writes the rows, of which the first is the head.
func (o *Stdout) CSV(rows [][]string) error { return csv.NewWriter(o).WriteAll(rows) }

// A Report is a result of more than one table. As JSON, it is what its type
// says.
type Report interface {
	WriteTable(*Stdout) error
	WriteCSV(*Stdout) error
}

// Report writes it in the format that was asked for.
func (o *Stdout) Report(r Report) error {
	switch o.Format {
	case FormatJSON, FormatJSONL:
		return o.JSON(r)
	case FormatCSV:
		return r.WriteCSV(o)
	}
	return r.WriteTable(o)
}

// Table writes rows, of which the first is the head, in columns. color says
// which color a row has, the head being row 0. It may be nil.
func (o *Stdout) Table(rows [][]string, color func(row int) term.Color) error {
	text := Columns(rows, 0)
	if color != nil && o.Color.Colored(o.terminal) {
		text = term.PaintLines(text, color)
	}
	_, err := io.WriteString(o, text)
	return err
}

// Columns lays out rows in columns, tabwriter.AlignRight or 0.
func Columns(rows [][]string, align uint) string {
	end := "\n"
	if align == tabwriter.AlignRight {
		end = "\t\n" // only cells that end in a tab are aligned
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', align)
	for _, row := range rows {
		_, _ = io.WriteString(w, strings.Join(row, "\t")+end)
	}
	_ = w.Flush() // to a Builder
	return b.String()
}
