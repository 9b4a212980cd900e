// SPDX-License-Identifier: BSD-3-Clause

package output

import (
	"bufio"
	"strconv"

	"bulkdump/cmd/internal/term"
)

// Layouts say how items of a kind look: the heads of the formats that have one,
// and functions that append an item without a newline.
type Layouts[T any] struct {
	TableHead, CSVHead string
	Table, JSON, CSV   func([]byte, T) []byte
}

// A List writes items as a stream. It keeps none of them and allocates nothing
// for them.
type List[T any] struct {
	w       *bufio.Writer
	line    []byte                 // reused
	n       uint64                 // items so far
	array   bool                   // in brackets, with commas between the items
	visible bool                   // CSV has all bytes, but a terminal must not get them
	append  func([]byte, T) []byte // nil if only the number counts
}

// NewList begins a list on stdout. The calls that follow return the error if
// that fails.
func NewList[T any](o *Stdout, l Layouts[T]) *List[T] {
	p := &List[T]{w: bufio.NewWriterSize(o, 64<<10)}
	head := ""
	switch o.Format {
	case FormatTable:
		head, p.append = l.TableHead, l.Table
	case FormatJSON:
		head, p.append, p.array = "[", l.JSON, true
	case FormatJSONL:
		p.append = l.JSON
	case FormatCSV:
		head, p.append, p.visible = l.CSVHead, l.CSV, o.terminal
	case FormatCount:
	}
	_, _ = p.w.WriteString(head)
	return p
}

// Add writes an item.
func (p *List[T]) Add(item T) error {
	p.n++
	if p.append == nil {
		return nil
	}
	p.line = p.line[:0]
	if p.visible {
		p.line = append(append(p.line, term.Visible(string(p.append(nil, item)))...), '\n')
	} else if p.array {
		if p.n > 1 {
			p.line = append(p.line, ',')
		}
		p.line = p.append(append(p.line, '\n'), item)
	} else {
		p.line = append(p.append(p.line, item), '\n')
	}
	_, err := p.w.Write(p.line)
	return err
}

// Len returns how many items were added.
func (p *List[T]) Len() uint64 { return p.n }

// Flush writes what is buffered.
func (p *List[T]) Flush() error { return p.w.Flush() }

// End completes a list that has all its items. If some are missing, call Stop.
func (p *List[T]) End() error {
	p.line = p.line[:0]
	if p.append == nil {
		p.line = append(strconv.AppendUint(p.line, p.n, 10), '\n')
	}
	if p.array {
		p.line = append(p.line, "\n]\n"...)
	}
	if _, err := p.w.Write(p.line); err != nil {
		return err
	}
	return p.w.Flush()
}

// Stop writes the items so far, but not the end, so that nobody takes them for
// all. Without any, it writes nothing.
func (p *List[T]) Stop() error {
	if p.n == 0 {
		return nil
	}
	return p.w.Flush()
}
