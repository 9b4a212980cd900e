// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"bulkdump/client"
)

func (a *app) fillCommand() *cobra.Command {
	var o client.FillOptions
	cmd := &cobra.Command{
		Use:   "fill COUNT",
		Short: "Make many synthetic entries",
		Long: `fill makes COUNT entries, all or none. Their names, flags, values and payloads
follow from the seed. It prints the checksum of the new entries, which
'bulkdump dump --verify' compares with what it reads.`,
		Example: `  bulkdump fill 1000000
  bulkdump fill 1000 --seed 42 --id-start 10 --id-stride 10
  bulkdump fill 100 --payload-min 1000 --payload-max 60000`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("give one count")
			}
			count, err := strconv.ParseUint(args[0], 0, 32)
			if err != nil || count == 0 {
				return usagef("%q is no count: a number from 1 to 4294967295", args[0])
			}
			o.Count = uint32(count)
			return nil
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if o.IDStride == 0 {
				return usagef("--id-stride must be at least 1")
			}
			if cmd.Flags().Changed("payload-max") && o.PayloadMax < o.PayloadMin {
				return usagef("--payload-max is below --payload-min")
			}
			return nil
		},
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			filled, err := t.Fill(cmd.Context(), o)
			if err != nil {
				return err
			}
			return printRow(a.stdout, a.format, []field{
				{"count", filled.Count},
				{"generation", filled.Generation},
				{"checksum", fmt.Sprintf("0x%016x", uint64(filled.Checksum))},
			}, filled)
		}),
	}
	flags := cmd.Flags()
	flags.Uint64Var(&o.Seed, "seed", 0, "what everything else follows from")
	flags.Uint32Var(&o.IDStart, "id-start", 0, "id of the first entry")
	flags.Uint32Var(&o.IDStride, "id-stride", 1, "from one id to the next")
	flags.Uint32Var(&o.PayloadMin, "payload-min", 0, "shortest payload in bytes")
	flags.Uint32Var(&o.PayloadMax, "payload-max", 0, "longest payload in bytes, up to 60000 (default: the shortest)")
	return cmd
}

func (a *app) flushCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "flush",
		Short:   "Delete all entries",
		Long:    `flush deletes all entries and prints how many they were.`,
		Example: `  bulkdump flush`,
		Args:    cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			flushed, err := t.Flush(cmd.Context())
			if err != nil {
				return err
			}
			return printRow(a.stdout, a.format, []field{
				{"count", flushed.Count},
				{"generation", flushed.Generation},
			}, flushed)
		}),
	}
}

func (a *app) tableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "table",
		Short: "Print the size, limits and counters of the table",
		Long: `table prints the size, the generation, the limits and the counters of the
table. dumps-started is the sum of dumps-finished, dumps-abandoned and
dumps-open.`,
		Example: `  bulkdump table
  bulkdump table -o json`,
		Args: cobra.NoArgs,
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			state, err := t.Table(cmd.Context())
			if err != nil {
				return err
			}
			return printRow(a.stdout, a.format, tableFields(&state), state)
		}),
	}
}

func tableFields(t *client.Table) []field {
	return []field{
		{"count", t.Count},
		{"generation", t.Generation},
		{"id-min", t.IDMin},
		{"id-max", t.IDMax},
		{"bytes", t.Bytes},
		{"record-max", t.RecordMax},
		{"entries-max", t.EntriesMax},
		{"dumps-started", t.DumpsStarted},
		{"dumps-finished", t.DumpsFinished},
		{"dumps-abandoned", t.DumpsAbandoned},
		{"dumps-interrupted", t.DumpsInterrupted},
		{"dumps-open", t.DumpsOpen},
		{"pages", t.Pages},
		{"records", t.Records},
	}
}
