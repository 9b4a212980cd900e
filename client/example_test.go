// SPDX-License-Identifier: BSD-3-Clause

package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

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
