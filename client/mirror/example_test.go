// SPDX-License-Identifier: BSD-3-Clause

package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"bulkdump/client"
	"bulkdump/client/mirror"
)

// Keep a copy, and look up entries in it.
func ExampleOpen() {
	ctx := context.Background()
	c, err := client.Dial(client.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	m, err := mirror.Open(ctx, c, mirror.Options{ReceiveBuffer: 1 << 20, ResyncInterval: 50 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	if err := m.Synced(ctx); err != nil {
		log.Fatal(err)
	}
	if e, ok := m.Get(7); ok {
		fmt.Println(e.Name)
	}
	for e := range m.All() {
		fmt.Println(e.ID, e.Name)
	}
	fmt.Println(m.Len(), "entries of generation", m.Generation())

	// Wait until your own change is in the copy.
	generation, err := c.New(ctx, client.Entry{ID: 8, Name: "eight"})
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Wait(ctx, generation); err != nil {
		log.Fatal(err)
	}
	<-m.Done() // blocks forever if all goes well
	fmt.Println(m.Err(), m.Stats().Overruns)
}

// Handle each entry of a mirror, then each change.
func ExampleMirror_Follow() {
	ctx := context.Background()
	c, err := client.Dial(client.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	m, err := mirror.Open(ctx, c, mirror.Options{ChangesLimit: 1 << 16})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for e, err := range m.Follow(ctx) {
		switch {
		case errors.Is(err, mirror.ErrLagged):
			fmt.Println("not every change is told, but what came of them")
		case errors.Is(err, mirror.ErrReloaded), errors.Is(err, client.ErrNoFamily):
			return // that table no longer exists
		case err != nil:
			log.Fatal(err)
		case e.Kind == client.EventFlush:
			fmt.Println("all up to generation", e.Generation, "are gone")
		case e.Kind == client.EventDel:
			fmt.Println(e.Entry.ID, "is gone")
		case e.Kind == client.EventNew, e.Kind == client.EventSet:
			fmt.Println("there is", e.Entry.ID)
		}
	}
}
