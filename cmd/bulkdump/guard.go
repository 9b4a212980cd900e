// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bulkdump/client"
)

// guardKernel is what the command guard needs besides the table.
type guardKernel interface {
	kind() (string, error)        // the module's parameter guard
	trace() (guardTrace, error)   // a place to collect the guard's events in
	stayIn() (guardStayer, error) // a process that reads the table until it is killed
}

type guardTrace interface {
	start() error // collect from now on
	events() ([]guardEvent, error)
	close() error // and leave nothing
}

type guardStayer interface {
	owns(tid int) bool
	kill() error // an error also if it has ended before
}

// guardEvent is one trace event: somebody waits for the guard, enters or leaves.
type guardEvent struct {
	Micros  uint64 `json:"us"` // since the first one
	Actor   string `json:"actor"`
	Event   string `json:"event"`
	Readers uint64 `json:"readers"` // that are in then
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

// Who takes part; others are whoever else uses a table then.
const (
	readerA = "reader A"
	writer  = "writer"
	readerB = "reader B"
	others  = "others"
)

// guardReport is what the command guard shows.
type guardReport struct {
	Events     []guardEvent    `json:"events"`
	Properties []guardProperty `json:"properties"`
}

type guardProperty struct {
	Property string `json:"property"`
	Shown    bool   `json:"shown"`
}

func (a *app) guardCommand() *cobra.Command {
	entries := uint32(500_000)
	cmd := &cobra.Command{
		Use:   "guard",
		Short: "Show who waits for whom at the table's grab guard",
		Long: `guard shows three properties of the guard that a module loaded with guard=grab
has, and that the kernel's own table of netlink sockets has, by the order of the
module's trace events:

- a reader passes a writer that waits;
- a writer enters when no reader is in;
- while it is in, all wait.

It fills the table, which must be empty. Reader A looks for an entry that is not
there until it is killed, the writer flushes the table, reader B looks an entry
up while the writer waits, and again while it is in. The exit code is 1 if a
property is not shown. It needs root, and tracefs.`,
		Example: `  bulkdump guard
  bulkdump guard -o json
  vm/run --param bulkdump.guard=grab -- bulkdump guard`,
		Args: noArguments,
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			report, err := a.showGuard(cmd.Context(), t, entries)
			if err != nil {
				return err
			}
			if err := a.printReport(report); unlessPipe(err) != nil {
				return err
			}
			return report.err()
		}),
	}
	numberWithin(cmd, &entries, 1000, 10_000_000, "entries", "entries that the writer flushes: it is in as long as that takes")
	return cmd
}

func (a *app) showGuard(ctx context.Context, t table, entries uint32) (*guardReport, error) {
	kind, err := a.guard.kind()
	if err != nil {
		return nil, err
	}
	if kind != "grab" {
		return nil, fmt.Errorf("the module is loaded with guard=%s, where nobody waits: load it with guard=grab", kind)
	}
	state, err := t.Table(ctx)
	if err != nil {
		return nil, err
	}
	if state.Count > 0 {
		return nil, errNotEmpty
	}
	b, err := a.dial() // reader B's: a connection has one request at a time
	if err != nil {
		return nil, err
	}
	defer b.Close()

	trace, err := a.guard.trace() // before the fill, which takes long
	if err != nil {
		return nil, err
	}
	events, found, err := a.playGuard(ctx, t, b, trace, entries)
	if err := errors.Join(err, trace.close()); err != nil {
		return nil, err
	}
	return &guardReport{Events: events, Properties: guardProperties(events, found)}, nil
}

// playGuard fills the table and has the actors come. It returns the events, and
// whether reader B's lookups found an entry.
func (a *app) playGuard(ctx context.Context, t, b table, trace guardTrace, entries uint32) ([]guardEvent, []bool, error) {
	a.tell("fill")
	defer a.stderr.clear()
	if _, err := t.Fill(ctx, client.FillOptions{Count: entries}); err != nil {
		return nil, nil, err
	}
	// The table was empty and is to be so again, however this ends.
	defer func() { _, _ = t.Flush(context.WithoutCancel(ctx)) }()
	if err := trace.start(); err != nil {
		return nil, nil, fmt.Errorf("trace: %w", err)
	}
	s := &guardStage{trace: trace, actors: map[int]string{}, tell: a.tell}
	found, err := s.play(ctx, a.guard, t, b)
	events, eventsErr := s.events()
	return events, found, errors.Join(err, eventsErr)
}

// guardProperties looks for each property in the order of the events. found
// says whether reader B's lookups found an entry.
func guardProperties(events []guardEvent, found []bool) []guardProperty {
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

	both := slices.ContainsFunc(events, func(e guardEvent) bool { return e.Readers > 0 && e.Writing })
	return []guardProperty{
		{"a reader passes a writer that waits",
			inOrder(waits, passes, left, enters) && events[passes].Readers == 2 && found[0]},
		{"a writer enters when no reader is in",
			inOrder(waits, left, enters) && events[waits].Readers > 0 && events[enters].Readers == 0},
		{"while it is in, all wait",
			inOrder(enters, late, leaves, in) && !both && !found[1]},
	}
}

// err is an error if a property is not shown.
func (r *guardReport) err() error {
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

// writeCSV has the events; a property that they do not show is an error.
func (r *guardReport) writeCSV(w io.Writer) error {
	cw := csv.NewWriter(w)
	_ = cw.Write([]string{"us", "actor", "event", "readers", "writing"})
	for _, e := range r.Events {
		_ = cw.Write([]string{fmt.Sprint(e.Micros), e.Actor, e.Event, fmt.Sprint(e.Readers), fmt.Sprint(e.Writing)})
	}
	cw.Flush()
	return cw.Error()
}

// What an event means, and what is in an actor's column from then on.
var guardSteps = map[string]struct{ text, then string }{
	readWait:   {"waits", ":"},
	readEnter:  {"enters", "|"},
	readExit:   {"leaves", ""},
	writeWait:  {"waits", ":"},
	writeEnter: {"enters", "|"},
	writeExit:  {"leaves", ""},
}

// writeTable has time flow down, a column for each actor: a line goes on while
// it is in, a dotted one while it waits.
func (r *guardReport) writeTable(w io.Writer) error {
	columns := []string{readerA, writer, readerB}
	if slices.ContainsFunc(r.Events, func(e guardEvent) bool { return e.Actor == others }) {
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
		step := guardSteps[e.Event]
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
	_, err := w.Write(b.Bytes())
	return err
}

func (e guardEvent) inside() string {
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
