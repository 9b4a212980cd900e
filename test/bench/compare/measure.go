// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/test/bench/figure"
	"bulkdump/test/bench/peak"
)

// result is what the process of a reader in Go prints.
type result struct {
	tally
	PeakRSS uint64 `json:"peak_rss"`
}

// runChild does what this program starts itself for.
func runChild(ctx context.Context, all []*table, args []string) (child bool, err error) {
	if len(args) == 0 {
		return false, nil
	}
	switch args[0] {
	case "one":
		return true, runOne(ctx, all, args[1:], os.Stdout)
	case "hold":
		return true, holdSockets(args[1:], os.Stdin, os.Stdout)
	}
	return false, nil
}

// runOne is the process of one reader: "one TABLE READER".
func runOne(ctx context.Context, all []*table, args []string, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("one takes a table and a reader, not %q", args)
	}
	i := slices.IndexFunc(all, func(t *table) bool { return t.name == args[0] })
	if i < 0 {
		return fmt.Errorf("no table %q", args[0])
	}
	readers := all[i].readers()
	j := slices.IndexFunc(readers, func(r reader) bool { return r.name == args[1] && r.read != nil })
	if j < 0 {
		return fmt.Errorf("no reader %q", args[1])
	}
	var r result
	if err := readers[j].read(ctx, &r.tally); err != nil {
		return err
	}
	var err error
	if r.PeakRSS, err = peak.RSS("self"); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}

// compareTable creates a table of n entries and lets readers of it read it in
// turn, in that many rounds. It fails if a reader gets other records than those
// created.
func compareTable(ctx context.Context, t *table, readers []reader, n, rounds int, progress io.Writer) (c figure.ComparedTable, err error) {
	c = figure.ComparedTable{Name: t.name, Entries: n}
	err = inNamespace(func() error {
		present, err := t.probe(ctx)
		if err != nil {
			if c.Skipped = t.missing(err); c.Skipped != "" {
				return nil
			}
			return err
		}
		if t.remove != nil {
			defer t.remove()
		}
		if c.Readers, err = t.readInTurn(ctx, readers, present, rounds); err != nil {
			return fmt.Errorf("before there are entries: %w", err)
		}
		empty := c.Readers
		start := time.Now()
		want, err := t.create(n)
		if err != nil {
			return err
		}
		if want.Records != uint64(n) && !(t.pairs && want.Records == uint64(n+1)) {
			return fmt.Errorf("%d entries created, not %d", want.Records, n)
		}
		fmt.Fprintf(progress, "%d %s created in %v\n", n, t.name, time.Since(start).Round(time.Millisecond))
		if c.Readers, err = t.readInTurn(ctx, readers, want, rounds); err != nil {
			return err
		}
		for i := range empty {
			c.Readers[i].Empty = empty[i].Wall
		}
		return nil
	})
	if err != nil {
		return c, fmt.Errorf("%s: %w", t.name, err)
	}
	return c, nil
}

// readInTurn runs the readers in turn, in that many rounds.
func (t *table) readInTurn(ctx context.Context, readers []reader, want tally, rounds int) ([]figure.Reading, error) {
	all := make([]figure.Reading, len(readers))
	for range rounds {
		for i, r := range readers {
			all[i].Reader = r.name
			if err := t.readOnce(ctx, r, want, &all[i]); err != nil {
				return all, fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	return all, nil
}

// probe creates the devices and reads the table as it is then, which is empty for
// most. This shows whether the kernel has the table. It returns what a reader must
// get then.
func (t *table) probe(ctx context.Context) (want tally, err error) {
	if err := createDevices(t.devicesUp); err != nil {
		return want, err
	}
	var got tally
	if err := t.readBulkdump(ctx, &got); err != nil {
		return want, err
	}
	if t.present != nil {
		if want, err = t.present(); err != nil {
			return want, err
		}
	}
	return want, want.compare(got)
}

// missing returns what the kernel lacks, if that is what the error means, and
// "" otherwise. nfnetlink answers EINVAL for a subsystem that it does not have, and
// sock_diag ENOENT for a protocol.
func (t *table) missing(err error) string {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) ||
		errors.Is(err, unix.EINVAL) && t.protocol == unix.NETLINK_NETFILTER ||
		errors.Is(err, unix.ENOENT) && t.protocol == unix.NETLINK_SOCK_DIAG {
		return "not in this kernel: " + err.Error()
	}
	return ""
}

// readOnce runs a reader's process, and updates the least time and memory.
func (t *table) readOnce(ctx context.Context, r reader, want tally, least *figure.Reading) error {
	if least.Skipped != "" {
		return nil
	}
	first := least.Wall == 0
	reading, err := figure.Reading{}, error(nil)
	if r.read != nil {
		reading, err = measureOne(ctx, t, r, want)
	} else {
		program, missing := findProgram(ctx, cmp.Or(r.program, "ip"))
		if missing != nil {
			least.Skipped = missing.Error()
			return nil
		}
		if first {
			// This run is not measured. It compares the output with what was
			// created.
			got, err := tallyText(ctx, r, program)
			if err := errors.Join(err, want.compare(got)); err != nil {
				return err
			}
		}
		reading, err = measureProgram(r, program)
	}
	if err != nil {
		return err
	}
	if first {
		*least = reading
	} else {
		*least = least.Least(reading)
	}
	return nil
}

// measureOne runs a reader in Go and compares its result with the table.
func measureOne(ctx context.Context, t *table, r reader, want tally) (reading figure.Reading, err error) {
	self, err := os.Executable()
	if err != nil {
		return reading, err
	}
	cmd := exec.CommandContext(ctx, self, "one", t.name, r.name)
	cmd.Stderr = os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	wall := time.Since(start)
	if err != nil {
		return reading, err
	}
	var got result
	if err := json.Unmarshal(out, &got); err != nil {
		return reading, fmt.Errorf("it printed %q: %w", out, err)
	}
	return figure.Reading{
		Reader: r.name, Wall: wall,
		User: cmd.ProcessState.UserTime(), System: cmd.ProcessState.SystemTime(),
		PeakRSS: got.PeakRSS,
	}, want.compare(got.tally)
}
