// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"fmt"
	"log"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// One goroutine reads and four decode, with the memory of eight pages.
func ExampleStream_Pages() {
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{Pool: nldump.NewPool(8)})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	pages := make(chan nldump.Page)
	var found atomic.Bool
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for p := range pages {
				for m := range p.Records() {
					a := m.Attrs(unix.SizeofIfInfomsg)
					if a.Find(unix.IFLA_IFNAME) && string(a.Text()) == "lo" {
						found.Store(true)
					}
				}
				p.Release()
			}
		})
	}
	for p, err := range s.Pages(context.Background(), nldump.Dump{Request: getLinks}) {
		if err != nil {
			log.Fatal(err)
		}
		pages <- p
	}
	close(pages)
	workers.Wait()
	fmt.Println("lo:", found.Load())
	// Output: lo: true
}

// Count the bytes of a dump without a call for each record. Without a pool,
// pages are lent.
func ExampleMessages() {
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	links, bytes := 0, 0
	for p, err := range s.Pages(context.Background(), nldump.Dump{Request: getLinks}) {
		if err != nil {
			log.Fatal(err)
		}
		for ms := p.Messages(); len(ms) > 0; ms = ms.Next() {
			if ms.Type() == unix.RTM_NEWLINK {
				links++
				bytes += len(ms.Data())
			}
		}
	}
	fmt.Println("links:", links > 0, "bytes:", bytes >= links*unix.SizeofIfInfomsg)
	// Output: links: true bytes: true
}

// Hold a page, and see what happens to a reader that uses it too long.
func ExamplePool() {
	pool := nldump.NewPool(2)
	pool.Poison = true // the default with the race detector
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{Pool: pool, Abandon: nldump.AbandonClose})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for p, err := range s.Pages(context.Background(), nldump.Dump{Request: getLinks}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("records:", p.Len() > 0, "held:", pool.Held())
		p.Release()
		fmt.Println("held:", pool.Held())
		defer func() { fmt.Println(recover()) }()
		p.Release()
	}
	// Output:
	// records: true held: 1
	// held: 0
	// nldump: a page was released twice
}
