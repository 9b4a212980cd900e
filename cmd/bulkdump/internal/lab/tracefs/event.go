// SPDX-License-Identifier: BSD-3-Clause

package tracefs

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// An Event is a line of a trace.
type Event struct {
	TID    int    // the thread that it happened in
	Micros uint64 // of the buffer's clock
	Name   string
	fields string // NAME=VALUE, with blanks between
}

// ErrLost says that events are missing.
var ErrLost = errors.New("the trace lost events: is somebody else using the table?")

// COMM-TID [CPU] FLAGS SECONDS: EVENT: FIELDS. COMM may hold anything.
var eventLine = regexp.MustCompile(`-(\d+) +\[\d+\] +\S+ +(\d+)\.(\d{6}): (\w+): ((?:\w+=\S+ ?)*)$`)

// How many events are in the buffer, and how many were ever written.
var countLine = regexp.MustCompile(`^# entries-in-buffer/entries-written: (\d+)/(\d+) `)

// Parse reads the text of a file "trace".
func Parse(text []byte) ([]Event, error) {
	var events []Event
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if m := countLine.FindStringSubmatch(line + " "); m != nil && m[1] != m[2] {
			return nil, ErrLost
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if strings.HasPrefix(line, "CPU:") && strings.Contains(line, "LOST") {
			return nil, ErrLost
		}
		m := eventLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("not a line of a trace: %q", line)
		}
		tid, err1 := strconv.ParseInt(m[1], 10, 32)
		at, err2 := strconv.ParseUint(m[2]+m[3], 10, 64)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("not a line of a trace: %q", line)
		}
		events = append(events, Event{TID: int(tid), Micros: at, Name: m[4], fields: m[5]})
	}
	return events, nil
}

// A Reader reads the fields of one event. A field that is missing or malformed is
// zero. Err returns the first such error.
type Reader struct {
	event Event
	err   error
}

// Read returns a Reader of the event.
func (e Event) Read() *Reader { return &Reader{event: e} }

// Text returns a field as it is.
func (r *Reader) Text(name string) string {
	for field := range strings.FieldsSeq(r.event.fields) {
		if key, value, _ := strings.Cut(field, "="); key == name {
			return value
		}
	}
	r.fail(name, errors.New("missing"))
	return ""
}

// Uint returns a field that is an unsigned number.
func (r *Reader) Uint(name string, bits int) uint64 {
	text := r.Text(name)
	v, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		r.fail(name, fmt.Errorf("%q is not a number of %d bits", text, bits))
	}
	return v
}

// Uint32 is Uint for one of 32 bits.
func (r *Reader) Uint32(name string) uint32 { return uint32(r.Uint(name, 32)) }

// Int returns a field that is a number with a sign.
func (r *Reader) Int(name string) int {
	text := r.Text(name)
	v, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		r.fail(name, fmt.Errorf("%q is not a signed number of 32 bits", text))
	}
	return int(v)
}

// Bool returns a field that is 0 or 1.
func (r *Reader) Bool(name string) bool { return r.Uint(name, 1) == 1 }

func (r *Reader) fail(name string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("trace event %s: field %s: %w", r.event.Name, name, err)
	}
}

// Err returns the first error.
func (r *Reader) Err() error { return r.err }
