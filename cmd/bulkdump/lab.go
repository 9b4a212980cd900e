// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"bulkdump/client"
	"bulkdump/client/nldump"
	"bulkdump/cmd/bulkdump/internal/lab"
	"bulkdump/cmd/bulkdump/internal/lab/loop"
	"bulkdump/cmd/bulkdump/internal/lab/nlsock"
	"bulkdump/cmd/bulkdump/internal/output"
	"bulkdump/cmd/internal/cli"
)

// laboratory is package lab, replaceable.
type laboratory struct {
	cursors func(context.Context, lab.Table, lab.CursorsOptions, lab.Tell) (*lab.CursorsReport, error)
	guard   func(_ context.Context, t, second lab.Table, entries uint32, _ lab.Tell) (*lab.GuardReport, error)
	trace   func(context.Context, lab.Table, lab.TraceOptions, lab.Tell) (*loop.Trace, error)
	sockets func(context.Context, nlsock.Source) (*nlsock.List, error)
}

// tell shows on a terminal what an experiment does now.
func (a *app) tell(text string) { a.stderr.Show(text) }

func (a *app) cursorsCommand() *cobra.Command {
	o := lab.CursorsOptions{Entries: 50_000, Changes: 10, CostUpTo: 1_000_000, IndexUpTo: 1_000_000}
	cmd := &cobra.Command{
		Use:   "cursors",
		Short: "Measure what each cursor costs, and what it loses",
		Long: `cursors fills the table, which must be empty, measures dumps of it with each of
the four cursors, and empties it again:

- churn: how many of the entries that nobody touches a dump misses or repeats
  while other entries are made or deleted after each of its pages;
- cost: what a record costs, and how many entries the kernel looks at for it, in
  tables of 10,000 entries, of ten times as many, and so on;
- parked: what the kernel holds between two pages, besides those pages.

The changes follow from a seed and do not depend on the machine's speed. Times
do: in 'vm/run --icount', a nanosecond is an instruction.`,
		Example: `  bulkdump cursors
  bulkdump cursors --changes 20 -o json
  bulkdump cursors --cost-up-to 100000`,
		Args: noArguments,
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			report, err := a.lab.cursors(cmd.Context(), t, o, a.tell)
			a.stderr.Clear()
			if err != nil {
				return err
			}
			return a.out.Report(report)
		}),
	}
	numberWithin(cmd, &o.Entries, 1000, 10_000_000, "entries", "entries of the table that changes during the dump")
	numberWithin(cmd, &o.Changes, 1, 10_000, "changes", "changes after each page")
	numberWithin(cmd, &o.CostUpTo, 10_000, 16<<20, "cost-up-to", "the largest table that cost is measured on")
	numberWithin(cmd, &o.IndexUpTo, 10_000, 16<<20, "index-up-to", "the same for cursor index, whose cost grows with the square of the table")
	return cmd
}

func (a *app) guardCommand() *cobra.Command {
	entries := uint32(500_000)
	cmd := &cobra.Command{
		Use:   "guard",
		Short: "Show who waits for whom at the table's grab guard",
		Long: `guard shows three properties of a guard, by the order of the module's trace
events. A module loaded with guard=grab has that guard, and so has the kernel's
own table of netlink sockets:

- a reader passes a writer that waits;
- a writer enters when no reader is in;
- while it is in, all wait.

The command fills the table, which must be empty. Reader A looks for an entry
that does not exist, until it is killed. The writer flushes the table. Reader B
looks an entry up while the writer waits, and again while the writer is in. The
exit code is 1 if a property is not shown. guard needs root, and tracefs.`,
		Example: `  bulkdump guard
  bulkdump guard -o json
  vm/run --param bulkdump.guard=grab -- bulkdump guard`,
		Args: noArguments,
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			second, err := a.dial()
			if err != nil {
				return err
			}
			defer second.Close()
			report, err := a.lab.guard(cmd.Context(), t, second, entries, a.tell)
			a.stderr.Clear()
			if err != nil {
				return err
			}
			if err := a.out.Report(report); unlessPipe(err) != nil {
				return err
			}
			return report.Err()
		}),
	}
	numberWithin(cmd, &entries, 1000, 10_000_000, "entries", "entries that the writer flushes: it is in for as long as that takes")
	return cmd
}

func (a *app) traceCommand() *cobra.Command {
	names, help := lab.Scenarios()
	o := lab.TraceOptions{Reader: lab.ReaderOptions{Dump: client.DumpOptions{BufferSize: nldump.DefaultBufferSize}}}
	readers, buffer := uint32(1), uint32(nldump.DefaultBufferSize)
	var from, to uint32
	var scenarios strings.Builder
	for _, name := range names {
		fmt.Fprintf(&scenarios, "- %s: %s\n", name, help(name))
	}
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Show the feedback loop of a dump: which read sets off which page",
		Long: `trace dumps the table and shows what sets off what. Each read takes a page away.
If at most half of the receive buffer is in use then (RMEM, HALF), the kernel
builds the next page, still in that system call. The page waits until a read
fetches it. PLACE is where the dump's cursor stands. trace combines the reader's
own notes with the module's trace events. It needs root, and tracefs.

With -o svg it draws a timeline. The scenarios fill the table, which must be
empty, and empty it again:

` + scenarios.String() + `
The kernel keeps the events of some ten thousand pages. Of a larger table, trace
a part with --from and --to.`,
		Example: `  bulkdump trace --scenario slow-reader
  bulkdump trace --scenario mid-dump-change -o svg > change.svg
  bulkdump trace --readers 2 --delay 5ms --buffer 8192 -o json
  bulkdump trace --peek --rcvbuf 16384`,
		Args: noArguments,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			given := cmd.Flags().Changed
			if given("scenario") {
				if o.Scenario == "" || help(o.Scenario) == "" {
					return usagef("there is no scenario %q, only %s", o.Scenario, strings.Join(names, ", "))
				}
				for _, name := range []string{"readers", "from", "to", "delay", "peek", "rcvbuf", "buffer", "cursor", "encoding"} {
					if given(name) {
						return usagef("--scenario says how to read: leave --%s out", name)
					}
				}
				return nil
			}
			dump := &o.Reader.Dump
			o.Readers, dump.BufferSize = int(readers), int(buffer)
			return idRange(cmd, &from, &to, dump)
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			trace, err := a.lab.trace(cmd.Context(), t, o, a.tell)
			a.stderr.Clear()
			if err != nil {
				return err
			}
			if a.out.Format == output.FormatSVG {
				return trace.WriteSVG(a.out)
			}
			return a.out.Report(trace)
		}, output.FormatSVG),
	}
	cmd.Flags().StringVar(&o.Scenario, "scenario", "", "run this `SCENARIO`: "+strings.Join(names, ", "))
	numberWithin(cmd, &readers, 1, 4, "readers", "how many readers dump at the same time")
	cli.TimeFlag(cmd, &o.Reader.Delay, "delay", "how much `TIME` a reader lets pass before each read")
	cmd.Flags().BoolVar(&o.Reader.Peek, "peek", false, "look with MSG_PEEK before each read, as many libraries do")
	numberWithin(cmd, &o.Reader.ReceiveBuffer, 1, 1<<30, "rcvbuf", "receive buffer of the socket in bytes, which the kernel doubles")
	rangeFlags(cmd, &from, &to, "dump")
	readFlags(cmd, &o.Reader.Dump, &buffer)
	return cmd
}

func (a *app) socketsCommand() *cobra.Command {
	source := "auto"
	cmd := &cobra.Command{
		Use:   "sockets",
		Short: "Print every netlink socket in sight, and whether a dump is running on it",
		Long: `sockets prints the netlink sockets of all network namespaces in sight: those of
threads, of open files and of /run/netns. For root that is all of them. Others
see their own namespace.

A socket's name is its namespace, protocol and port id: another namespace or
protocol may use the same port id. QUEUED is the memory, in bytes, of what waits
to be read, RCVBUF is its limit, DROPS is how many messages found no room. DUMP
says that a dump is running: it waits until its reader reads. Port id 0 is the
kernel's own socket. Two kinds of sockets are left out: those of this command,
and those without a name, which were neither bound nor sent from.

sockets reads sock_diag, and takes what is missing there from /proc/net/netlink.
A kernel without netlink_diag has only the latter, which has no RCVBUF and no
GROUPS above 32. The module bulkdump is not needed.`,
		Example: `  bulkdump sockets
  bulkdump sockets -o jsonl | grep '"dump":true'
  bulkdump sockets --source proc -o csv`,
		Args: noArguments,
		PreRunE: func(*cobra.Command, []string) error {
			switch source {
			case "auto", string(nlsock.Diag), string(nlsock.Proc):
				return nil
			}
			return usagef("--source is auto, diag or proc, not %q", source)
		},
		RunE: a.runsAlone(func(cmd *cobra.Command, _ []string) error {
			only := nlsock.Source(source)
			if source == "auto" {
				only = ""
			}
			l, err := a.lab.sockets(cmd.Context(), only)
			if err != nil {
				return err
			}
			if l.Fallback != nil {
				a.stderr.Note("bulkdump: %v: this is from /proc/net/netlink", l.Fallback)
			}
			if l.NotEntered > 0 {
				a.stderr.Note("bulkdump: %d network namespaces in sight could not be entered: this needs CAP_SYS_ADMIN "+
					"in the user namespace that owns each, and in your own", l.NotEntered)
			}
			return lab.PrintSockets(a.out, l.Sockets)
		}),
	}
	cmd.Flags().StringVar(&source, "source", source, "read `SOURCE`: auto, diag or proc")
	return cmd
}
