// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"fmt"

	"bulkdump/client"
)

// expected has the result that a contender must get, for each share of the
// table.
type expected [shares]sink

// refill fills the table with n entries and dumps it once to learn the expected
// results. The whole table is checked against the kernel's own checksum; the
// other shares are parts of that dump.
func refill(ctx context.Context, c *client.Client, n uint32) (*expected, error) {
	if _, err := c.Flush(ctx); err != nil {
		return nil, err
	}
	filled, err := c.Fill(ctx, client.FillOptions{Count: n})
	if err != nil {
		return nil, err
	}
	e := new(expected)
	for i := range e {
		e[i].check = true
	}
	from, to := middle(n)
	for r, err := range c.Records(ctx, plain(client.DumpOptions{})) {
		if err != nil {
			return nil, err
		}
		e[everything].add(r)
		e[valueOnly].add(&client.Record{ID: r.ID, Value: r.Value})
		if r.ID >= from && r.ID <= to {
			e[middleHalf].add(r)
		}
		if r.ID >= n-10 { // they were filled in the order of their ids
			e[lastTen].add(r)
		}
		if r.ID >= n-1000 {
			e[lastThousand].add(r)
		}
	}
	if e[everything].checksum != filled.Checksum || e[everything].records != uint64(n) {
		return nil, fmt.Errorf("a dump has %d records with the checksum %v; %d entries with %v were created",
			e[everything].records, e[everything].checksum, n, filled.Checksum)
	}
	e[changed].records = changes
	return e, nil
}

// compare returns an error if a contender's result is wrong. The sum checks the
// run that is measured, the checksum the second run.
func (e *expected) compare(c contender, check bool, r result) error {
	want := e[c.share]
	switch {
	case r.Records != want.records:
		return fmt.Errorf("%s: %d records, not %d", c.name, r.Records, want.records)
	case r.Sum != want.sum && (check || !c.opaque):
		return fmt.Errorf("%s: the fields' sum is %d, not %d", c.name, r.Sum, want.sum)
	case check && r.Checksum != want.checksum:
		return fmt.Errorf("%s: checksum %v, not %v", c.name, r.Checksum, want.checksum)
	}
	return nil
}
