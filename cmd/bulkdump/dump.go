// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
	"bulkdump/cmd/bulkdump/internal/output"
)

// dumpFlags is the command line of dump.
type dumpFlags struct {
	options          client.DumpOptions
	from, to         uint32
	flags            flagsFilter
	since            uint64
	buffer           uint32
	limit            uint64
	stats            bool
	checksum         uint64 // what verify says
	allowInterrupted bool
	sync             bool
	syncPasses       uint32
	parallel         uint32
	unordered        bool

	given func(name string) bool // whether the flag is on the command line
}

const (
	maxSyncPasses = 1 << 20
	maxSockets    = 256
)

func (a *app) dumpCommand() *cobra.Command {
	f := &dumpFlags{buffer: nldump.DefaultBufferSize, syncPasses: client.DefaultSyncPasses, parallel: 1}
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Print the entries, or what changed since a generation",
		Long: `dump prints the entries as they come, in rising order of their ids unless there
is another --cursor. It needs the same memory for ten entries and for ten
million. With -o count it prints only how many there are.

With --since it prints what changed after that generation, in the order of the
changes, and marks deleted entries. It fails if the kernel's log of changes does
not reach back that far. In that case, dump all entries.

If the table changes during the dump, the kernel says so. Every entry that was
there throughout is printed, exactly once. But together, the entries may be a
state that the table never had. Then dump prints a warning, and exits with 1
unless --allow-interrupted is given.

With --sync it repeats the dump for what changed meanwhile, until nothing did.
Then it prints the exact table of one generation, in order of ids, and names the
generation on stderr. Until then it holds the table in memory.

With --parallel, several sockets read, each of them some of the ids.`,
		Example: `  bulkdump dump
  bulkdump dump -o jsonl --from 100 --to 0xffff
  bulkdump dump --name-prefix eth --flags 0x1/0x3
  bulkdump dump --since 1000 -o jsonl
  bulkdump dump -o count --stats --encoding columns
  bulkdump dump --sync --timeout 1m -o json
  bulkdump dump -o count --parallel 4 --unordered
  bulkdump dump -o count --verify 0x59e2f1a07cb3d468`,
		Args: noArguments,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return f.check(cmd)
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			return a.dump(cmd.Context(), t, f)
		}, output.FormatCount),
	}
	f.given = cmd.Flags().Changed
	rangeFlags(cmd, &f.from, &f.to, "print")
	cmd.Flags().StringVar(&f.options.NamePrefix, "name-prefix", "", "print entries whose name begins with `TEXT`")
	cmd.Flags().Var(&f.flags, "flags", "print entries whose flags equal `VALUE[/MASK]`: VALUE in the bits of MASK, or in all")
	number64(cmd, &f.since, "since", "print what changed after this `GENERATION`")
	readFlags(cmd, &f.options, &f.buffer)
	number64(cmd, &f.limit, "limit", "stop after this many entries; 0: no limit")
	number64(cmd, &f.checksum, "verify", "fail unless the entries have this `CHECKSUM`, which fill printed")
	cmd.Flags().BoolVar(&f.sync, "sync", false, "print the exact table of one generation, even if it changes meanwhile")
	numberWithin(cmd, &f.syncPasses, 1, maxSyncPasses, "sync-passes", "with --sync, give up after this many dumps")
	numberWithin(cmd, &f.parallel, 1, maxSockets, "parallel", "read over this many sockets at once")
	cmd.Flags().BoolVar(&f.unordered, "unordered", false, "with --parallel, print the entries as they come")
	cmd.Flags().BoolVar(&f.stats, "stats", false, "print pages, reads, records, bytes and memory on stderr")
	cmd.Flags().BoolVar(&f.allowInterrupted, "allow-interrupted", false, "exit with 0 even if the table changed during the dump")
	return cmd
}

// check checks the command line, and completes the options.
func (f *dumpFlags) check(cmd *cobra.Command) error {
	if err := idRange(cmd, &f.from, &f.to, &f.options); err != nil {
		return err
	}
	switch prefix := f.options.NamePrefix; {
	case f.given("since") && (f.given("cursor") || f.given("name-prefix") || f.given("flags")):
		return usagef("--since goes only with --from and --to")
	case f.given("name-prefix") && (prefix == "" || len(prefix) > client.NameLenMax):
		return usagef("--name-prefix must have 1 to %d bytes", client.NameLenMax)
	case f.given("verify") && f.given("since"):
		return usagef("--verify needs all entries: leave --since out")
	case f.given("verify") && f.limit > 0:
		return usagef("--verify needs all entries: leave --limit out")
	}
	if f.given("since") {
		f.options.Since = &f.since
	}
	f.options.Flags, f.options.FlagsMask = f.flags.value, f.flags.mask
	f.options.BufferSize = int(f.buffer)
	return f.checkReaders()
}

// checkReaders checks the flags for more than one dump.
func (f *dumpFlags) checkReaders() error {
	for _, with := range []struct {
		flag string
		not  []string
	}{
		{"sync", []string{"since", "cursor", "name-prefix", "flags", "parallel", "allow-interrupted"}},
		{"parallel", []string{"since", "cursor"}},
	} {
		for _, not := range with.not {
			if f.given(with.flag) && f.given(not) {
				return usagef("--%s does not go with --%s", with.flag, not)
			}
		}
	}
	switch {
	case f.given("sync-passes") && !f.sync:
		return usagef("--sync-passes goes only with --sync")
	case f.unordered && !f.given("parallel"):
		return usagef("--unordered goes only with --parallel")
	}
	return nil
}

// whole tells whether all entries are dumped, so that the table's count is the
// number of records.
func (f *dumpFlags) whole() bool {
	return !slices.ContainsFunc([]string{"from", "to", "name-prefix", "flags", "since"}, f.given)
}

func (a *app) dump(ctx context.Context, t table, f *dumpFlags) error {
	var stats nldump.Stats
	f.options.Stats = &stats
	sum, interrupted, err := a.printDump(ctx, t, f)
	if f.stats {
		a.printStats(stats)
	}
	if interrupted {
		a.stderr.Note("bulkdump: warning: the table changed during the dump: the output may be a state that it never had")
	}
	truncated := (*nldump.TruncatedError)(nil)
	switch {
	case f.given("verify") && errors.Is(err, unix.EPIPE):
		return errors.New("not verified: the output was closed before its end")
	case errors.As(err, &truncated):
		return fmt.Errorf("%w (give --buffer %d or more)", err, truncated.Size)
	case err != nil:
		return err
	case interrupted && !f.allowInterrupted:
		return errReported
	case !f.given("verify"):
		return nil
	case sum != client.Checksum(f.checksum):
		return fmt.Errorf("checksum %v, want %v", sum, client.Checksum(f.checksum))
	}
	a.stderr.Note("checksum %v: as expected", sum)
	return nil
}

// printDump prints the records. It returns their checksum, if --verify needs it,
// and whether the table changed meanwhile.
func (a *app) printDump(ctx context.Context, t table, f *dumpFlags) (sum client.Checksum, interrupted bool, err error) {
	p := output.NewList(a.out, output.Records)
	bar := a.progress(ctx, t, f)
	defer bar.End()
	for r, err := range a.records(ctx, t, f, bar) {
		if errors.Is(err, client.ErrInterrupted) { // after the last record
			interrupted = true
			break
		}
		if err != nil {
			return 0, false, errors.Join(err, unlessPipe(p.Stop()))
		}
		if f.given("verify") {
			sum.Add(r)
		}
		if err := p.Add(r); err != nil {
			return 0, false, err
		}
		if !f.sync {
			bar.Add()
		}
		if p.Len() == f.limit { // never for 0
			break
		}
	}
	return sum, interrupted, unlessPipe(p.End())
}

// records returns the records to print, read as the flags say.
func (a *app) records(ctx context.Context, t table, f *dumpFlags, bar *output.Progress) iter.Seq2[*client.Record, error] {
	o := f.options
	switch {
	case f.sync:
		return a.synced(ctx, t, client.SyncOptions{Dump: o, Passes: int(f.syncPasses)}, bar)
	case f.given("parallel"):
		return t.DumpParallel(ctx, int(f.parallel), client.ParallelOptions{Dump: o, Unordered: f.unordered})
	}
	return t.Records(ctx, o)
}

// synced yields the table in which a Sync ends, when it has ended.
func (a *app) synced(ctx context.Context, t table, o client.SyncOptions, bar *output.Progress) iter.Seq2[*client.Record, error] {
	return func(yield func(*client.Record, error) bool) {
		var held client.Snapshot
		var result client.Synced
		o.Reset, o.Synced = held.Reset, &result
		for r, err := range t.Sync(ctx, o) {
			if errors.Is(err, client.ErrNotSynced) {
				// No longer an ErrInterrupted, which means that all was printed.
				err = fmt.Errorf("%s (give a larger --sync-passes)", err)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			held.Apply(r)
			bar.Add()
		}
		bar.End()
		a.stderr.Note("the table of generation %d, after %d passes (%d full)",
			result.Generation, result.Full+result.Deltas, result.Full)
		for _, e := range held.Entries() {
			if !yield(output.RecordOf(&e), nil) {
				return
			}
		}
	}
}

func (a *app) printStats(s nldump.Stats) {
	perPage := "0"
	if s.Pages > 0 {
		perPage = strconv.FormatFloat(float64(s.Records)/float64(s.Pages), 'f', 1, 64)
	}
	fields := []output.Field{
		output.F("pages", s.Pages),
		output.F("reads", s.Reads),
		output.F("records", s.Records),
		output.F("bytes", s.Bytes),
		output.F("records-per-page", perPage),
		output.F("largest-page", s.LargestPage),
	}
	if peak, ok := peakMemory(); ok {
		fields = append(fields, output.F("peak-memory-kib", peak))
	}
	_ = output.WriteFields(a.stderr, fields) // like any message: there is nowhere to report an error
}

// progress returns nil if nobody would see it.
func (a *app) progress(ctx context.Context, t table, f *dumpFlags) *output.Progress {
	console := a.out.Status(output.FormatCount)
	if console == nil {
		return nil
	}
	total := uint64(0)
	if f.whole() {
		if state, err := t.Table(ctx); err == nil {
			total = state.Count
		}
	}
	if f.limit > 0 && !f.sync && (total == 0 || f.limit < total) {
		total = f.limit
	}
	return output.NewProgress(console, total)
}

// peakMemory returns the largest resident set of this process in KiB. It is from
// proc, because the maxrss of getrusage starts with that of the process which
// called exec.
func peakMemory() (kib uint64, ok bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(status) {
		if rest, found := bytes.CutPrefix(line, []byte("VmHWM:")); found {
			kib, err := strconv.ParseUint(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
			return kib, err == nil
		}
	}
	return 0, false
}
