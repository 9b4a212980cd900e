// SPDX-License-Identifier: BSD-3-Clause

package client_test

import (
	"context"
	"errors"
	"fmt"

	"bulkdump/client"
)

// A replica of a table that changes meanwhile. DialExample stands for Dial.
func ExampleClient_Sync() {
	c := client.DialExample()
	defer c.Close()
	held := make(map[uint32]client.Entry)
	var synced client.Synced
	for r, err := range c.Sync(context.Background(), client.SyncOptions{
		Reset:  func() { clear(held) },
		Synced: &synced,
	}) {
		switch {
		case err != nil:
			fmt.Println(err)
		case r.Deleted:
			delete(held, r.ID)
		default:
			held[r.ID] = r.Entry()
		}
	}
	fmt.Println(len(held), "entries of generation", synced.Generation)
	// Output: 3 entries of generation 6
}

// Later, only what changed since: the generation is where it goes on.
func ExampleSyncOptions() {
	c := client.DialExample()
	defer c.Close()
	var synced client.Synced
	for range c.Sync(context.Background(), client.SyncOptions{Synced: &synced}) {
	}
	since := synced.Generation
	for range c.Sync(context.Background(), client.SyncOptions{
		Dump:   client.DumpOptions{Since: &since},
		Synced: &synced,
	}) {
	}
	fmt.Println(synced.Full, "full passes,", synced.Records, "records")
	// Output: 0 full passes, 0 records
}

// What it took: the table changed during the full pass, and not during the delta.
func ExampleSynced() {
	c := client.DialExample()
	defer c.Close()
	var synced client.Synced
	for range c.Sync(context.Background(), client.SyncOptions{Synced: &synced}) {
	}
	fmt.Printf("%+v\n", synced)
	// Output: {Generation:6 Full:1 Deltas:1 Interrupted:1 Stale:0 Records:6}
}

func ExampleErrNotSynced() {
	c := client.DialExample()
	defer c.Close()
	for _, err := range c.Sync(context.Background(), client.SyncOptions{Passes: 1}) {
		if errors.Is(err, client.ErrNotSynced) {
			fmt.Println("not in one pass of at most", client.DefaultSyncPasses, "or", client.DefaultSyncFull, "full ones")
		}
	}
	// Output: not in one pass of at most 100 or 3 full ones
}

func ExampleClient_Snapshot() {
	c := client.DialExample()
	defer c.Close()
	s, err := c.Snapshot(context.Background(), client.SyncOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("generation", s.Generation)
	for _, e := range s.Entries() {
		fmt.Println(e.ID, e.Value)
	}
	// Output:
	// generation 6
	// 2 20
	// 3 30
	// 4294967295 42949672950
}

// A snapshot takes any stream of upserts and deletes.
func ExampleSnapshot() {
	var s client.Snapshot
	s.Apply(&client.Record{ID: 7, Value: 1})
	s.Reset()
	s.Apply(&client.Record{ID: 2, Value: 1})
	s.Apply(&client.Record{ID: 1, Value: 1})
	s.Apply(&client.Record{ID: 2, Deleted: true})
	fmt.Println(len(s.Entries()), s.Entries()[0].ID)
	// Output: 1 1
}

func ExampleSnapshot_Apply() {
	var s client.Snapshot
	s.Apply(&client.Record{ID: 2, Value: 1})
	s.Apply(&client.Record{ID: 2, Value: 2})
	fmt.Println(s.Entries()[0].Value)
	// Output: 2
}

// Reset is what SyncOptions.Reset wants.
func ExampleSnapshot_Reset() {
	c := client.DialExample()
	defer c.Close()
	var s client.Snapshot
	for r, err := range c.Sync(context.Background(), client.SyncOptions{Reset: s.Reset}) {
		if err == nil {
			s.Apply(r)
		}
	}
	s.Reset()
	fmt.Println(len(s.Entries()))
	// Output: 0
}

func ExampleSnapshot_Entries() {
	var s client.Snapshot
	for _, id := range []uint32{5, 0xffffffff, 0} {
		s.Apply(&client.Record{ID: id})
	}
	for _, e := range s.Entries() {
		fmt.Println(e.ID)
	}
	// Output:
	// 0
	// 5
	// 4294967295
}

// Two sockets, in the order of one. A table that changes is told of at the end.
func ExampleClient_DumpParallel() {
	c := client.DialExample()
	defer c.Close()
	for r, err := range c.DumpParallel(context.Background(), 2, client.ParallelOptions{}) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(r.ID)
	}
	// Output:
	// 1
	// 2
	// 3
	// 4294967295
	// entry-get: dump interrupted: the table changed meanwhile
}

// Where the order does not matter, no socket waits for another.
func ExampleParallelOptions() {
	c := client.DialExample()
	defer c.Close()
	from := uint32(2)
	n := 0
	for range c.DumpParallel(context.Background(), 4, client.ParallelOptions{
		Dump:      client.DumpOptions{IDFrom: &from},
		Unordered: true,
	}) {
		n++
	}
	fmt.Println(n, "records, or the error after them")
	// Output: 4 records, or the error after them
}
