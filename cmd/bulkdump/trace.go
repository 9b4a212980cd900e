// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkdump/client"
	"bulkdump/client/nldump"
	"bulkdump/cmd/bulkdump/internal/loop"
)

// formatSVG is for trace only.
const formatSVG = "svg"

// traceFlags is the command line of trace.
type traceFlags struct {
	scenario string
	readers  uint32
	from, to uint32
	reader   readerOptions
}

// readerOptions says how one reader reads.
type readerOptions struct {
	dump   client.DumpOptions
	rcvbuf uint32        // SO_RCVBUF, which the kernel doubles; 0: as it is
	peek   bool          // look with MSG_PEEK before each read
	delay  time.Duration // before each of them
}

func (a *app) traceCommand() *cobra.Command {
	f := &traceFlags{readers: 1}
	f.reader.dump.BufferSize = nldump.DefaultBufferSize
	buffer := uint32(nldump.DefaultBufferSize)
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Show the feedback loop of a dump: which read sets off which page",
		Long: `trace dumps the table and shows what brings about what: each read takes a page
away; if then at most half of the receive buffer is in use (RMEM, HALF), the
kernel builds the next page, still in that system call; it waits until a read
fetches it. PLACE is where the dump's cursor stands. It is put together from the
reader's own notes and the module's trace events, and needs root and tracefs.

With -o svg it draws a timeline. Ready scenarios fill the table, which must be
empty, and empty it again:

` + scenariosText() + `
The kernel keeps the events of some ten thousand pages: of a larger table, trace
a part with --from and --to.`,
		Example: `  bulkdump trace --scenario slow-reader
  bulkdump trace --scenario mid-dump-change -o svg > change.svg
  bulkdump trace --readers 2 --delay 5ms --buffer 8192 -o json
  bulkdump trace --peek --rcvbuf 16384`,
		Args: noArguments,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			f.reader.dump.BufferSize = int(buffer)
			return f.check(cmd)
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			trace, err := a.traceDump(cmd.Context(), t, f)
			a.stderr.clear()
			if err != nil {
				return err
			}
			if a.format == formatSVG {
				return trace.WriteSVG(a.stdout)
			}
			return a.printReport(traceReport{trace, a.paint})
		}, formatSVG),
	}
	cmd.Flags().StringVar(&f.scenario, "scenario", "", "run this `SCENARIO`: "+strings.Join(scenarioNames(), ", "))
	numberWithin(cmd, &f.readers, 1, 4, "readers", "how many dump at the same time")
	number32(cmd, &f.from, "from", "smallest `ID` to dump")
	number32(cmd, &f.to, "to", "largest `ID` to dump")
	timeFlag(cmd, &f.reader.delay, "delay", "how much `TIME` a reader lets pass before each read")
	cmd.Flags().BoolVar(&f.reader.peek, "peek", false, "look with MSG_PEEK before each read, as many libraries do")
	numberWithin(cmd, &f.reader.rcvbuf, 1, 1<<30, "rcvbuf", "receive buffer of the socket in bytes, of which the kernel makes twice as much")
	numberWithin(cmd, &buffer, nldump.MinBufferSize, maxBufferSize, "buffer", "receive buffer of the reader in bytes; the kernel makes its pages by it")
	cmd.Flags().TextVar(&f.reader.dump.Cursor, "cursor", client.CursorKey, "how the kernel remembers its place: `CURSOR` is key, bucket, index or walker")
	cmd.Flags().TextVar(&f.reader.dump.Encoding, "encoding", client.EncodingPlain, "how the kernel writes records: `ENCODING` is plain, direct or columns")
	return cmd
}

func (f *traceFlags) check(cmd *cobra.Command) error {
	given := cmd.Flags().Changed
	if given("scenario") {
		if _, ok := scenarios[f.scenario]; !ok {
			return usagef("there is no scenario %q, only %s", f.scenario, strings.Join(scenarioNames(), ", "))
		}
		for _, name := range []string{"readers", "from", "to", "delay", "peek", "rcvbuf", "buffer", "cursor", "encoding"} {
			if given(name) {
				return usagef("--scenario says how to read: leave --%s out", name)
			}
		}
	}
	if given("from") && given("to") && f.from > f.to {
		return usagef("--from %d is above --to %d", f.from, f.to)
	}
	if given("from") {
		f.reader.dump.IDFrom = &f.from
	}
	if given("to") {
		f.reader.dump.IDTo = &f.to
	}
	return nil
}

// traceDump runs the scenario, or the dump that the flags say.
func (a *app) traceDump(ctx context.Context, t table, f *traceFlags) (_ *loop.Trace, err error) {
	s := scenario{title: "A dump, read by read"}
	if f.scenario != "" {
		s = scenarios[f.scenario]
	} else {
		for range f.readers {
			s.readers = append(s.readers, f.reader)
		}
	}
	// Before the fill: it takes long where the machine has many processors.
	c, err := a.loop.collect()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if s.fill.Count > 0 {
		state, err := t.Table(ctx)
		if err != nil {
			return nil, err
		}
		if state.Count > 0 {
			return nil, errNotEmpty
		}
		a.tell("fill")
		// The table was empty and is to be so again, however this ends.
		defer func() { _, _ = t.Flush(context.WithoutCancel(ctx)) }()
		if _, err := t.Fill(ctx, s.fill); err != nil {
			return nil, err
		}
	}
	a.tell("dump")
	return s.play(ctx, a.loop, t, c)
}

// A traceReport is a Trace in the formats of every report.
type traceReport struct {
	*loop.Trace
	paint func(string, func(int) string) string
}

func (r traceReport) writeTable(w io.Writer) error {
	b := new(bytes.Buffer)
	if err := r.WriteTable(b); err != nil {
		return err
	}
	lines := strings.Split(b.String(), "\n")
	_, err := io.WriteString(w, r.paint(b.String(), func(line int) string {
		switch text := lines[line]; {
		case strings.Contains(text, "interrupted"), strings.Contains(text, "ENOBUFS"):
			return red
		case strings.Contains(text, "  table  "):
			return yellow
		case strings.Contains(text, "  kernel  "):
			return dim
		}
		return plain
	}))
	return err
}

func (r traceReport) writeCSV(w io.Writer) error { return r.WriteCSV(w) }

// scenariosText is the part of the help about the scenarios.
func scenariosText() string {
	var b strings.Builder
	for _, name := range scenarioNames() {
		fmt.Fprintf(&b, "- %s: %s\n", name, scenarios[name].help)
	}
	return b.String()
}
