// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// dumpFlags is the command line of dump.
type dumpFlags struct {
	from, to         uint32
	prefix           string
	flags            flagsFilter
	since            uint64
	cursor           client.Cursor
	encoding         client.Encoding
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
	maxBufferSize = 16 << 20 // far beyond every page of the kernel's
	maxSyncPasses = 1 << 20
	maxSockets    = 256
)

func (a *app) dumpCommand() *cobra.Command {
	f := &dumpFlags{buffer: nldump.DefaultBufferSize, syncPasses: client.DefaultSyncPasses, parallel: 1}
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Print the entries, or what changed since a generation",
		Long: `dump prints the entries as they come, in rising order of their ids unless
another cursor is asked for: it needs the same memory for ten entries and for
ten million (-o count prints only how many they are).

With --since it prints what changed after that generation, in the order of the
changes, and deleted entries as such. If the kernel's log of changes does not
reach back so far, it fails: then only a dump of all tells.

If the table changes meanwhile, the kernel says so. All entries that were there
throughout are printed, exactly once, but together they may be no state that the
table ever had: a warning says so, and the exit code is 1 unless
--allow-interrupted is given.

With --sync it goes on with what changed meanwhile, until nothing did. Then it
prints the exact table of one generation, in order of ids, and names that on
stderr; until then it holds the table in memory. With --parallel several sockets
read, each some of the ids.`,
		Example: `  bulkdump dump
  bulkdump dump -o jsonl --from 100 --to 0xffff
  bulkdump dump --name-prefix eth --flags 0x1/0x3
  bulkdump dump --since 1000 -o jsonl
  bulkdump dump -o count --stats --encoding columns
  bulkdump dump --sync --timeout 1m -o json
  bulkdump dump -o count --parallel 4 --unordered
  bulkdump dump -o count --verify 0x59e2f1a07cb3d468`,
		Args: noArguments,
		PreRunE: func(*cobra.Command, []string) error {
			return f.check()
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			return a.dump(cmd.Context(), t, f)
		}, formatCount),
	}
	f.given = cmd.Flags().Changed
	number32(cmd, &f.from, "from", "smallest `ID` to print")
	number32(cmd, &f.to, "to", "largest `ID` to print")
	cmd.Flags().StringVar(&f.prefix, "name-prefix", "", "print entries whose name begins with this `TEXT`")
	cmd.Flags().Var(&f.flags, "flags", "print entries whose flags are `VALUE[/MASK]`, where the mask has a bit")
	number64(cmd, &f.since, "since", "print what changed after this `GENERATION`")
	cmd.Flags().TextVar(&f.cursor, "cursor", client.CursorKey, "how the kernel remembers its place: `CURSOR` is key, bucket, index or walker (all but key need CAP_NET_ADMIN)")
	cmd.Flags().TextVar(&f.encoding, "encoding", client.EncodingPlain, "how the kernel writes records: `ENCODING` is plain, direct or columns")
	numberWithin(cmd, &f.buffer, nldump.MinBufferSize, maxBufferSize, "buffer",
		"receive buffer in bytes; the kernel makes its pages by it")
	number64(cmd, &f.limit, "limit", "stop after so many entries; 0: do not")
	number64(cmd, &f.checksum, "verify", "fail if the entries do not have this `CHECKSUM`, which fill printed")
	cmd.Flags().BoolVar(&f.sync, "sync", false, "print the exact table of one generation, although it changes meanwhile")
	numberWithin(cmd, &f.syncPasses, 1, maxSyncPasses, "sync-passes", "with --sync, give up after so many dumps")
	numberWithin(cmd, &f.parallel, 1, maxSockets, "parallel", "read over so many sockets at once")
	cmd.Flags().BoolVar(&f.unordered, "unordered", false, "with --parallel, print the entries as they come")
	cmd.Flags().BoolVar(&f.stats, "stats", false, "print pages, reads, records, bytes and memory to stderr")
	cmd.Flags().BoolVar(&f.allowInterrupted, "allow-interrupted", false, "exit with 0 also if the table changed meanwhile")
	return cmd
}

func (f *dumpFlags) check() error {
	switch {
	case f.given("from") && f.given("to") && f.from > f.to:
		return usagef("--from %d is above --to %d", f.from, f.to)
	case f.given("since") && (f.given("cursor") || f.given("name-prefix") || f.given("flags")):
		return usagef("--since goes with --from and --to only")
	case f.given("name-prefix") && (f.prefix == "" || len(f.prefix) > client.NameLenMax):
		return usagef("--name-prefix has 1 to %d bytes", client.NameLenMax)
	case f.given("verify") && f.given("since"):
		return usagef("--verify needs all entries: leave --since out")
	case f.given("verify") && f.limit > 0:
		return usagef("--verify needs all entries: leave --limit out")
	}
	return f.checkReaders()
}

// checkReaders checks what is about more dumps than one.
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
		return usagef("--sync-passes goes with --sync only")
	case f.unordered && !f.given("parallel"):
		return usagef("--unordered goes with --parallel only")
	}
	return nil
}

// whole tells whether nothing is left out, so that the table's count is known
// to be that of the records.
func (f *dumpFlags) whole() bool {
	return !slices.ContainsFunc([]string{"from", "to", "name-prefix", "flags", "since"}, f.given)
}

func (f *dumpFlags) options(stats *nldump.Stats) client.DumpOptions {
	o := client.DumpOptions{
		NamePrefix: f.prefix, Flags: f.flags.value, FlagsMask: f.flags.mask,
		Cursor: f.cursor, Encoding: f.encoding,
		BufferSize: int(f.buffer), Stats: stats,
	}
	if f.given("since") {
		o.Since = &f.since
	}
	if f.given("from") {
		o.IDFrom = &f.from
	}
	if f.given("to") {
		o.IDTo = &f.to
	}
	return o
}

func (a *app) dump(ctx context.Context, t table, f *dumpFlags) error {
	var stats nldump.Stats
	sum, interrupted, err := a.printDump(ctx, t, f, &stats)
	if f.stats {
		a.printStats(stats)
	}
	if interrupted {
		a.note("bulkdump: warning: the table changed during the dump: what was printed may be no state that it ever had")
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
	a.note("checksum %v: as it should be", sum)
	return nil
}

// printDump prints the records. It returns their checksum if it is wanted, and
// whether the table changed meanwhile.
func (a *app) printDump(ctx context.Context, t table, f *dumpFlags, stats *nldump.Stats) (sum client.Checksum, interrupted bool, err error) {
	p := newList(a, recordLayouts)
	bar := a.startProgress(ctx, t, f)
	defer bar.end()
	for r, err := range a.records(ctx, t, f, stats, bar) {
		if errors.Is(err, client.ErrInterrupted) { // after the last record
			interrupted = true
			break
		}
		if err != nil {
			return 0, false, errors.Join(err, unlessPipe(p.stop()))
		}
		if f.given("verify") {
			sum.Add(r)
		}
		if err := p.add(r); err != nil {
			return 0, false, err
		}
		if !f.sync {
			bar.add()
		}
		if p.n == f.limit { // never so for 0
			break
		}
	}
	return sum, interrupted, unlessPipe(p.end())
}

func (a *app) printStats(s nldump.Stats) {
	perPage := "0"
	if s.Pages > 0 {
		perPage = strconv.FormatFloat(float64(s.Records)/float64(s.Pages), 'f', 1, 64)
	}
	fields := []field{
		{"pages", s.Pages},
		{"reads", s.Reads},
		{"records", s.Records},
		{"bytes", s.Bytes},
		{"records-per-page", perPage},
		{"largest-page", s.LargestPage},
	}
	if peak, ok := peakMemory(); ok {
		fields = append(fields, field{"peak-memory-kib", peak})
	}
	_ = printFields(a.stderr, fields) // as little to be done as for any message
}
