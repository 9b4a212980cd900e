// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"strconv"
)

// layouts says how items of a kind look: the heads of the formats that have
// one, and functions that append an item without a newline.
type layouts[T any] struct {
	tableHead, csvHead string
	table, json, csv   func([]byte, T) []byte
}

// A list writes items as a stream: it keeps none of them and allocates nothing
// for them.
type list[T any] struct {
	w      *bufio.Writer
	line   []byte                 // reused
	n      uint64                 // items so far
	array  bool                   // in brackets, with commas between the items
	plain  bool                   // items are made visible: CSV has all bytes, but a terminal must not
	append func([]byte, T) []byte // nil if only the number counts
}

// newList begins a list on stdout. What fails then is told by the calls that
// follow.
func newList[T any](a *app, l layouts[T]) *list[T] {
	p := &list[T]{w: bufio.NewWriterSize(a.stdout, 64<<10)}
	head := ""
	switch a.format {
	case formatTable:
		head, p.append = l.tableHead, l.table
	case formatJSON:
		head, p.append, p.array = "[", l.json, true
	case formatJSONL:
		p.append = l.json
	case formatCSV:
		head, p.append, p.plain = l.csvHead, l.csv, a.terminal
	case formatCount:
	}
	_, _ = p.w.WriteString(head)
	return p
}

func (p *list[T]) add(item T) error {
	p.n++
	if p.append == nil {
		return nil
	}
	p.line = p.line[:0]
	if p.plain {
		p.line = append(append(p.line, visible(string(p.append(nil, item)))...), '\n')
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

// end is called when all items were written; when some are missing, stop.
func (p *list[T]) end() error {
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

// stop writes out the items so far, but not the end, so that nobody takes
// them for all. Without any, it writes nothing.
func (p *list[T]) stop() error {
	if p.n == 0 {
		return nil
	}
	return p.w.Flush()
}
