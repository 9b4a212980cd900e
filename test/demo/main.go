// SPDX-License-Identifier: BSD-3-Clause

// Command demo fills the table with a million entries, dumps them through the
// client, checks the result, and prints some figures. It runs in the guest
// (make demo), and needs the module and root.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

const (
	entries = 1_000_000
	shown   = 3 // at the start of the dump; the last entry is also shown
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c, err := client.Dial(client.Config{})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Flush(ctx); err != nil {
		return err
	}
	before, err := c.Table(ctx)
	if err != nil {
		return err
	}

	fmt.Printf("Filling the kernel's table with %s entries.\n", grouped(entries))
	filled, err := c.Fill(ctx, client.FillOptions{Count: entries, Seed: uint64(time.Now().UnixNano()), PayloadMax: 32})
	if err != nil {
		return err
	}
	fmt.Print("Dumping it, one page at a time:\n\n")
	got, err := dump(ctx, c)
	if err != nil {
		return err
	}
	after, err := c.Table(ctx)
	if err != nil {
		return err
	}
	printEntries(got.kept)
	printFigures(got.stats)
	return report([]check{
		{"as many records as entries", got.stats.Records == entries && filled.Count == entries, grouped(got.stats.Records)},
		{"ids strictly rising", got.rising, "none twice"},
		{"checksum as fill promised", got.sum == filled.Checksum, got.sum.String()},
		{"every dump that started finished", ended(before, after), fmt.Sprintf("%d started, %d abandoned, %d open",
			after.DumpsStarted-before.DumpsStarted, after.DumpsAbandoned-before.DumpsAbandoned, after.DumpsOpen)},
		unload(),
	})
}

// dumped is the result of the dump.
type dumped struct {
	kept   []client.Entry // the first ones and the last
	sum    client.Checksum
	rising bool
	stats  nldump.Stats
}

func dump(ctx context.Context, c *client.Client) (dumped, error) {
	d := dumped{rising: true}
	next := uint64(0) // the smallest valid next id
	for r, err := range c.Records(ctx, client.DumpOptions{Stats: &d.stats}) {
		if err != nil {
			return d, err
		}
		d.rising = d.rising && uint64(r.ID) >= next
		next = uint64(r.ID) + 1
		d.sum.Add(r)
		// The record is reused. Entry copies it.
		if len(d.kept) < shown || r.ID == entries-1 {
			d.kept = append(d.kept, r.Entry())
		}
	}
	return d, nil
}

func printEntries(kept []client.Entry) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "id\tname\tflags\tvalue\tpayload\tgeneration\t")
	for i, e := range kept {
		if i == shown {
			fmt.Fprintln(w, "...\t...\t...\t...\t...\t...\t")
		}
		fmt.Fprintf(w, "%d\t%s\t0x%08x\t%d\t%d bytes\t%d\t\n", e.ID, e.Name, e.Flags, e.Value, len(e.Payload), e.Generation)
	}
	w.Flush()
}

func printFigures(s nldump.Stats) {
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "pages\t%s\n", grouped(s.Pages))
	fmt.Fprintf(w, "records per page\t%.1f\n", float64(s.Records)/float64(s.Pages))
	fmt.Fprintf(w, "reads\t%s\n", grouped(s.Reads))
	fmt.Fprintf(w, "bytes\t%s\n", grouped(s.Bytes))
	fmt.Fprintf(w, "bytes of the largest page\t%s\n", grouped(uint64(s.LargestPage)))
	w.Flush()
}

type check struct {
	what  string
	ok    bool
	found string
}

var errChecks = errors.New("not all checks passed")

func report(checks []check) (err error) {
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, c := range checks {
		verdict := "ok"
		if !c.ok {
			verdict, err = "FAILED", errChecks
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", verdict, c.what, c.found)
	}
	w.Flush()
	return err
}

func ended(before, after client.Table) bool {
	started := after.DumpsStarted - before.DumpsStarted
	return started == 1 && after.DumpsFinished-before.DumpsFinished == started && after.DumpsOpen == 0
}

// unload removes the module. That fails if anything still uses it.
func unload() check {
	err := unix.DeleteModule("bulkdump", unix.O_NONBLOCK)
	found := "nothing held it"
	if err != nil {
		found = err.Error()
	}
	return check{"module unloads", err == nil, found}
}

// grouped formats a number with commas between the thousands.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
