// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// A field is one named value of a result that is no record.
type field struct {
	name  string
	value any // an unsigned number, a *uint32 that may be nil, a string or a checksum
}

// text is the value for formats other than JSON.
func (f field) text() string {
	switch v := f.value.(type) {
	case *uint32:
		if v == nil {
			return ""
		}
		return strconv.FormatUint(uint64(*v), 10)
	default:
		return fmt.Sprint(v)
	}
}

// printRow writes one result: as lines of name and value, as CSV with a head,
// or, if it is for a program, as JSON of value.
func printRow(w io.Writer, format string, fields []field, value any) error {
	switch format {
	case formatJSON:
		return printJSON(w, value, "  ")
	case formatJSONL:
		return printJSON(w, value, "")
	case formatCSV:
		c := csv.NewWriter(w)
		var names, values []string
		for _, f := range fields {
			names, values = append(names, f.name), append(values, f.text())
		}
		return c.WriteAll([][]string{names, values})
	}
	return printFields(w, fields)
}

// printFields writes aligned lines of name and value; none for a value that is
// not there.
func printFields(w io.Writer, fields []field) error {
	width := 0
	for _, f := range fields {
		width = max(width, len(f.name))
	}
	var b bytes.Buffer
	for _, f := range fields {
		if text := f.text(); text != "" {
			fmt.Fprintf(&b, "%-*s  %s\n", width, f.name, text)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func printJSON(w io.Writer, value any, indent string) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(value); err != nil {
		return err
	}
	_, err := w.Write(appendVisibleJSON(nil, text.Bytes()))
	return err
}
