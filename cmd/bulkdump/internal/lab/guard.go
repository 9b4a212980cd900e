// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/lab/tracefs"
	"bulkdump/cmd/bulkdump/internal/output"
)

// guardKernel is what ShowGuard needs besides the table.
type guardKernel interface {
	kind() (string, error) // the module's parameter guard
	collect(name string) (collector, error)
	stayIn() (guardStayer, error) // a process that reads the table until it is killed
}

type guardStayer interface {
	owns(tid int) bool
	kill() error // an error if it had ended before
}

// GuardEvent is one trace event: somebody waits at the guard, enters or leaves.
type GuardEvent struct {
	Micros  uint64 `json:"us"` // since the first one
	Actor   string `json:"actor"`
	Event   string `json:"event"`
	Readers uint64 `json:"readers"` // that are in
	Writing bool   `json:"writing"` // the writer is in

	tid int
}

// The module's trace events.
const (
	readWait   = "guard_read_wait"
	readEnter  = "guard_read_enter"
	readExit   = "guard_read_exit"
	writeWait  = "guard_write_wait"
	writeEnter = "guard_write_enter"
	writeExit  = "guard_write_exit"
)

// The actors. Everybody else who uses a table then is one of the others.
const (
	readerA = "reader A"
	writer  = "writer"
	readerB = "reader B"
	others  = "others"
)

// GuardReport is what ShowGuard saw.
type GuardReport struct {
	Events     []GuardEvent    `json:"events"`
	Properties []GuardProperty `json:"properties"`
}

// GuardProperty is one of the guard's, and whether the events show it.
type GuardProperty struct {
	Property string `json:"property"`
	Shown    bool   `json:"shown"`
}

// ShowGuard fills the table, which must be empty, and has two readers and a
// writer meet at its guard. It empties the table at the end. Reader B needs the
// second connection, because a connection has one request at a time.
func ShowGuard(ctx context.Context, t, second Table, entries uint32, tell Tell) (*GuardReport, error) {
	return showGuard(ctx, linux{}, t, second, entries, tell)
}

func showGuard(ctx context.Context, k guardKernel, t, second Table, entries uint32, tell Tell) (*GuardReport, error) {
	kind, err := k.kind()
	if err != nil {
		return nil, err
	}
	if kind != "grab" {
		return nil, fmt.Errorf("the module is loaded with guard=%s, where nobody waits: load it with guard=grab", kind)
	}
	if err := wantEmpty(ctx, t); err != nil {
		return nil, err
	}
	c, err := k.collect("bulkdump-guard") // before the fill, which takes long
	if err != nil {
		return nil, err
	}
	events, found, err := playGuard(ctx, k, t, second, c, entries, tell)
	if err := errors.Join(err, c.Close()); err != nil {
		return nil, err
	}
	return &GuardReport{Events: events, Properties: guardProperties(events, found)}, nil
}

// playGuard returns the events, and whether reader B's lookups found an entry.
func playGuard(ctx context.Context, k guardKernel, t, second Table, c collector, entries uint32, tell Tell) ([]GuardEvent, []bool, error) {
	tell("fill")
	if _, err := t.Fill(ctx, client.FillOptions{Count: entries}); err != nil {
		return nil, nil, err
	}
	defer empty(ctx, t)
	if err := c.Start(tracefs.ClockGlobal, "bulkdump", readWait, readEnter, readExit, writeWait, writeEnter, writeExit); err != nil {
		return nil, nil, fmt.Errorf("trace: %w", err)
	}
	s := &guardStage{trace: c, actors: map[int]string{}, tell: tell}
	found, err := s.play(ctx, k, t, second)
	events, eventsErr := s.events()
	return events, found, errors.Join(err, eventsErr)
}

func guardEvents(traced []tracefs.Event) ([]GuardEvent, error) {
	var events []GuardEvent
	for _, e := range traced {
		r := e.Read()
		events = append(events, GuardEvent{
			Micros: e.Micros - traced[0].Micros, Event: e.Name, tid: e.TID,
			Readers: r.Uint("readers", 32), Writing: r.Bool("writing"),
		})
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// guardProperties judges each property by the order of the events, and by whether
// reader B's lookups found an entry.
func guardProperties(events []GuardEvent, found []bool) []GuardProperty {
	first := func(actor, event string, from int) int {
		for i := max(from, 0); i < len(events) && from >= 0; i++ {
			if events[i].Actor == actor && events[i].Event == event {
				return i
			}
		}
		return -1
	}
	inOrder := func(at ...int) bool { return at[0] >= 0 && slices.IsSorted(at) }

	waits := first(writer, writeWait, 0)
	enters := first(writer, writeEnter, waits)
	leaves := first(writer, writeExit, enters)
	left := first(readerA, readExit, waits)
	passes := first(readerB, readEnter, waits)
	late := first(readerB, readWait, enters)
	in := first(readerB, readEnter, enters)

	both := slices.ContainsFunc(events, func(e GuardEvent) bool { return e.Readers > 0 && e.Writing })
	return []GuardProperty{
		{"a reader passes a writer that waits",
			inOrder(waits, passes, left, enters) && events[passes].Readers == 2 && found[0]},
		{"a writer enters when no reader is in",
			inOrder(waits, left, enters) && events[waits].Readers > 0 && events[enters].Readers == 0},
		{"while it is in, all wait",
			inOrder(enters, late, leaves, in) && !both && !found[1]},
	}
}

// Err is an error if a property is not shown.
func (r *GuardReport) Err() error {
	var missing []string
	for _, p := range r.Properties {
		if !p.Shown {
			missing = append(missing, p.Property)
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("not shown: %s", strings.Join(missing, "; "))
}

// WriteCSV writes the events. A property that they do not show is an error.
func (r *GuardReport) WriteCSV(out *output.Stdout) error {
	rows := [][]string{{"us", "actor", "event", "readers", "writing"}}
	for _, e := range r.Events {
		rows = append(rows, []string{fmt.Sprint(e.Micros), e.Actor, e.Event, fmt.Sprint(e.Readers), fmt.Sprint(e.Writing)})
	}
	return out.CSV(rows)
}

// What an event does, by the end of its name, and what is in an actor's column
// from then on.
var guardSteps = map[string]struct{ text, then string }{"wait": {"waits", ":"}, "enter": {"enters", "|"}, "exit": {"leaves", ""}}

// WriteTable draws a column for each actor, with time flowing down: a line while
// the actor is in, a dotted one while it waits.
func (r *GuardReport) WriteTable(out *output.Stdout) error {
	columns := []string{readerA, writer, readerB}
	if slices.ContainsFunc(r.Events, func(e GuardEvent) bool { return e.Actor == others }) {
		columns = append(columns, others)
	}
	b := new(bytes.Buffer)
	line := func(time string, cells []string, inside string) {
		fmt.Fprintf(b, "%12s  ", time)
		for _, cell := range cells {
			fmt.Fprintf(b, "%-10s", cell)
		}
		b.WriteString(inside)
		b.WriteByte('\n')
	}
	line("MS", columns, "INSIDE")
	now := make([]string, len(columns))
	for _, e := range r.Events {
		at := slices.Index(columns, e.Actor)
		step := guardSteps[e.Event[strings.LastIndexByte(e.Event, '_')+1:]]
		now[at] = step.text
		line(fmt.Sprintf("%d.%03d", e.Micros/1000, e.Micros%1000), now, e.inside())
		now[at] = step.then
	}
	b.WriteByte('\n')
	for _, p := range r.Properties {
		verdict := "ok"
		if !p.Shown {
			verdict = "NOT SHOWN"
		}
		fmt.Fprintf(b, "%-9s  %s\n", verdict, p.Property)
	}
	_, err := out.Write(b.Bytes())
	return err
}

func (e GuardEvent) inside() string {
	var in []string
	switch e.Readers {
	case 0:
	case 1:
		in = append(in, "1 reader")
	default:
		in = append(in, fmt.Sprint(e.Readers, " readers"))
	}
	if e.Writing {
		in = append(in, "the writer")
	}
	if in == nil {
		return "nobody"
	}
	return strings.Join(in, " and ")
}
