// SPDX-License-Identifier: BSD-3-Clause

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	"bulkdump/client"
)

// The checksum of a dump does not depend on the order. Compare it with the one that
// Fill returned.
func ExampleChecksum() {
	var sum, promised client.Checksum
	a := client.Record{ID: 1, Name: []byte("a"), Payload: []byte{1, 2, 3}}
	b := client.Record{ID: 2, Name: []byte("b"), Value: 7}
	sum.Add(&a)
	sum.Add(&b)
	promised.Add(&b)
	promised.Add(&a)
	fmt.Println(sum == promised)
	// Output: true
}

// You may keep an entry; a record is valid until the next iteration.
func ExampleRecord_Entry() {
	r := client.Record{ID: 1, Name: []byte("lent")}
	e := r.Entry()
	copy(r.Name, "gone")
	fmt.Println(e.Name)
	// Output: lent
}

// Read the table and report whether it changed meanwhile.
func ExampleClient_Dump() {
	c, err := client.Dial(client.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for e, err := range c.Dump(context.Background(), client.DumpOptions{}) {
		if errors.Is(err, client.ErrInterrupted) {
			log.Print("complete, but not of one moment")
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.ID, e.Name, e.Value)
	}
}

// Follow the changes, and notice if some were lost.
func ExampleClient_Watch() {
	c, err := client.Dial(client.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for e, err := range c.Watch(context.Background(), client.WatchOptions{ReceiveBuffer: 8 << 20}) {
		switch {
		case errors.Is(err, client.ErrOverrun):
			log.Print("some changes are missing here")
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println(e.Generation, e.Kind, e.Entry.ID)
		}
	}
}

// Subscribe first, then dump: so no change in between is missed. If an entry
// comes twice, the higher generation counts.
func ExampleClient_OpenWatch() {
	ctx := context.Background()
	c, err := client.Dial(client.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	w, err := c.OpenWatch(ctx, client.WatchOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	newest := make(map[uint32]uint64)
	for e, err := range c.Dump(ctx, client.DumpOptions{}) {
		if errors.Is(err, client.ErrInterrupted) {
			break // events tell what changed
		}
		if err != nil {
			log.Fatal(err)
		}
		newest[e.ID] = e.Generation
	}
	for e, err := range w.Events(ctx) {
		if err != nil {
			log.Fatal(err) // after ErrOverrun you could continue with a dump since the last generation
		}
		if e.Generation > newest[e.Entry.ID] {
			newest[e.Entry.ID] = e.Generation
		}
	}
}

// A replica of a table that changes meanwhile. DialExample replaces Dial.
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

// A later Sync reads only what changed since the generation of this one.
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

// The table changed during the full pass, but not during the delta.
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

// A Snapshot accepts any stream of upserts and deletes.
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

// Use Reset as SyncOptions.Reset.
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

// Two sockets yield the records in the order of one. The error at the end says
// that the table changed.
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

// Without an order, no socket waits for another.
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

// An event as JSON.
func ExampleEvent() {
	_ = json.NewEncoder(os.Stdout).Encode(client.Event{Kind: client.EventFill, Generation: 1001, Count: 1000, IDStart: 5, IDStride: 1})
	var kind client.EventKind
	fmt.Println(kind.UnmarshalText([]byte("flush")), kind, kind == client.EventFlush)
	// Output:
	// {"kind":"fill","generation":1001,"count":1000,"id_start":5,"id_stride":1}
	// <nil> flush true
}
