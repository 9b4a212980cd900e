// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"math"

	"github.com/spf13/cobra"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/output"
)

func (a *app) fillCommand() *cobra.Command {
	o := client.FillOptions{IDStride: 1}
	cmd := &cobra.Command{
		Use:   "fill COUNT",
		Short: "Make many synthetic entries",
		Long: `fill makes COUNT entries, or none if it fails or if a signal or --timeout ends
it. Their names, flags, values and payloads follow from the seed. fill prints
the checksum of the new entries, which 'bulkdump dump --verify' compares with
what it reads.`,
		Example: `  bulkdump fill 1000000
  bulkdump fill 1000 --seed 42 --id-start 10 --id-stride 10
  bulkdump fill 100 --payload-min 1000 --payload-max 60000`,
		Args: func(_ *cobra.Command, args []string) (err error) {
			if len(args) != 1 {
				return usagef("give one count")
			}
			o.Count, err = parseArgument("count", args[0], 1)
			return err
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error {
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
			return a.out.Row([]output.Field{
				output.F("count", filled.Count),
				output.F("generation", filled.Generation),
				output.F("checksum", filled.Checksum),
			}, filled)
		}),
	}
	number64(cmd, &o.Seed, "seed", "what the entries follow from")
	number32(cmd, &o.IDStart, "id-start", "id of the first entry")
	numberWithin(cmd, &o.IDStride, 1, math.MaxUint32, "id-stride", "distance from one id to the next")
	numberWithin(cmd, &o.PayloadMin, 0, client.PayloadLenMax, "payload-min", "shortest payload in bytes")
	numberWithin(cmd, &o.PayloadMax, 0, client.PayloadLenMax, "payload-max", "longest payload in bytes, up to 60000 (default: the shortest)")
	return cmd
}

func (a *app) flushCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "flush",
		Short:   "Delete all entries",
		Long:    `flush deletes all entries and prints how many there were.`,
		Example: `  bulkdump flush`,
		Args:    noArguments,
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			flushed, err := t.Flush(cmd.Context())
			if err != nil {
				return err
			}
			return a.out.Row([]output.Field{
				output.F("count", flushed.Count),
				output.F("generation", flushed.Generation),
			}, flushed)
		}),
	}
}

func (a *app) tableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "table",
		Short: "Print the size, limits and counters of the table",
		Long: `table prints the size, the generation, the limits and the counters of the table.
dumps-started is the sum of dumps-finished, dumps-abandoned and dumps-open.`,
		Example: `  bulkdump table
  bulkdump table -o json`,
		Args: noArguments,
		RunE: a.runs(func(cmd *cobra.Command, t table, _ []string) error {
			state, err := t.Table(cmd.Context())
			if err != nil {
				return err
			}
			return a.out.Row(tableFields(&state), state)
		}),
	}
}

func tableFields(t *client.Table) []output.Field {
	return []output.Field{
		output.F("count", t.Count),
		output.F("generation", t.Generation),
		output.F("id-min", t.IDMin),
		output.F("id-max", t.IDMax),
		output.F("bytes", t.Bytes),
		output.F("record-max", t.RecordMax),
		output.F("entries-max", t.EntriesMax),
		output.F("dumps-started", t.DumpsStarted),
		output.F("dumps-finished", t.DumpsFinished),
		output.F("dumps-abandoned", t.DumpsAbandoned),
		output.F("dumps-interrupted", t.DumpsInterrupted),
		output.F("dumps-open", t.DumpsOpen),
		output.F("pages", t.Pages),
		output.F("records", t.Records),
		output.F("scanned", t.Scanned),
		output.F("dumps-memory", t.DumpsMemory),
		output.F("log-floor", t.LogFloor),
		output.F("tombstones", t.Tombstones),
		output.F("tombstones-max", t.TombstonesMax),
	}
}
