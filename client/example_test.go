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

// The checksum of what a dump delivered does not depend on the order, and can
// be compared with the one that Fill promised.
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

// An entry can be kept; a record is valid until the next iteration.
func ExampleRecord_Entry() {
	r := client.Record{ID: 1, Name: []byte("lent")}
	e := r.Entry()
	copy(r.Name, "gone")
	fmt.Println(e.Name)
	// Output: lent
}

// Read the table, and say whether it stood still meanwhile.
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

// Follow the changes, and know what was lost.
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

// Subscribe, then dump: nothing that changes in between is missed. Of what comes
// twice, the higher generation counts.
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
			log.Fatal(err) // after ErrOverrun one might go on, with a dump since the last generation
		}
		if e.Generation > newest[e.Entry.ID] {
			newest[e.Entry.ID] = e.Generation
		}
	}
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
