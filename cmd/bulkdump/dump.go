// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// dumpFlags is the command line of dump.
type dumpFlags struct {
	from, to         idFlag
	buffer           int
	limit            uint64
	stats            bool
	verify           string
	allowInterrupted bool

	checksum *client.Checksum // what verify says
}

func (a *app) dumpCommand() *cobra.Command {
	f := &dumpFlags{}
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Print the entries in rising order of their ids",
		Long: `dump prints the entries in rising order of their ids, as they come: it needs
the same memory for ten entries and for ten million (-o count prints only how
many they are).

If the table changes meanwhile, the kernel says so. All entries that were there
throughout are printed, exactly once, but together they may be no state that the
table ever had: a warning says so, and the exit code is 1 unless
--allow-interrupted is given.`,
		Example: `  bulkdump dump
  bulkdump dump -o jsonl --from 100 --to 0xffff
  bulkdump dump -o count --stats
  bulkdump dump -o count --verify 0x59e2f1a07cb3d468`,
		Args: cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error {
			return f.check()
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			return a.dump(cmd.Context(), t, f)
		}, formatCount),
	}
	flags := cmd.Flags()
	flags.Var(&f.from, "from", "smallest id to print")
	flags.Var(&f.to, "to", "largest id to print")
	flags.IntVar(&f.buffer, "buffer", nldump.DefaultBufferSize, "receive buffer in bytes; the kernel makes its pages by it")
	flags.Uint64Var(&f.limit, "limit", 0, "stop after so many entries; 0: do not")
	flags.BoolVar(&f.stats, "stats", false, "print pages, reads, records, bytes and memory to stderr")
	flags.StringVar(&f.verify, "verify", "", "fail if the entries do not have this `CHECKSUM`, which fill printed")
	flags.BoolVar(&f.allowInterrupted, "allow-interrupted", false, "exit with 0 also if the table changed meanwhile")
	cmd.MarkFlagsMutuallyExclusive("verify", "limit")
	return cmd
}

func (f *dumpFlags) check() error {
	if f.buffer < nldump.MinBufferSize {
		return usagef("a buffer of %d bytes is too small: at least %d", f.buffer, nldump.MinBufferSize)
	}
	if f.verify == "" {
		return nil
	}
	v, err := strconv.ParseUint(f.verify, 0, 64)
	if err != nil {
		return usagef("%q is no checksum: a number of 64 bits", f.verify)
	}
	sum := client.Checksum(v)
	f.checksum = &sum
	return nil
}

func (a *app) dump(ctx context.Context, t table, f *dumpFlags) error {
	var stats nldump.Stats
	sum, err := a.printDump(ctx, t, f, &stats)
	if f.stats {
		a.printStats(stats)
	}
	if errors.Is(err, client.ErrInterrupted) {
		fmt.Fprintln(a.stderr, "bulkdump: warning: the table changed during the dump: what was printed may be no state that it ever had")
		if err = errReported; f.allowInterrupted {
			err = nil
		}
	}
	if err != nil || f.checksum == nil {
		return err
	}
	if sum != *f.checksum {
		return fmt.Errorf("checksum 0x%016x, want 0x%016x", uint64(sum), uint64(*f.checksum))
	}
	fmt.Fprintf(a.stderr, "checksum 0x%016x: as it should be\n", uint64(sum))
	return nil
}

// printDump prints the records and returns their checksum if it is wanted.
func (a *app) printDump(ctx context.Context, t table, f *dumpFlags, stats *nldump.Stats) (client.Checksum, error) {
	var sum client.Checksum
	p := newRecordPrinter(a.stdout, a.format)
	if err := p.begin(); err != nil {
		return 0, err
	}
	bar := a.startProgress(ctx, t, f)
	defer bar.end()
	options := client.DumpOptions{IDFrom: f.from.id, IDTo: f.to.id, BufferSize: f.buffer, Stats: stats}
	for r, err := range t.Records(ctx, options) {
		if err != nil {
			bar.end()
			if errors.Is(err, client.ErrInterrupted) { // after the last record
				return sum, errors.Join(p.end(), err)
			}
			return 0, errors.Join(p.stop(), err)
		}
		if f.checksum != nil {
			sum.Add(r)
		}
		if err := p.record(r); err != nil {
			return 0, err
		}
		bar.add()
		if p.n == f.limit { // never so for 0
			break
		}
	}
	return sum, p.end()
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
