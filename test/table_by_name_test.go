// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// fewBuckets sets 16 buckets, the minimum.
const fewBuckets = "hash_bits=4"

func wantByName(t testing.TB, c *client.Client, name string, id uint32) {
	t.Helper()
	if e, err := c.GetByName(t.Context(), name); err != nil || e.ID != id || e.Name != name {
		t.Errorf("by name %q: id %d, name %q, error %v; want id %d", name, e.ID, e.Name, err, id)
	}
}

func wantNoName(t testing.TB, c *client.Client, name string) {
	t.Helper()
	if e, err := c.GetByName(t.Context(), name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("by name %q: id %d, error %v; want %v", name, e.ID, err, os.ErrNotExist)
	}
}

// oneEntry reads an entry without counting as a lookup.
func oneEntry(t testing.TB, c *client.Client, id uint32) client.Entry {
	t.Helper()
	all := collect(t, c, client.DumpOptions{IDFrom: &id, IDTo: &id})
	if len(all) != 1 {
		t.Fatalf("%d entries with id %d", len(all), id)
	}
	return all[0]
}

// Many entries share a name, so their bucket is long. About one in sixteen
// other names is in that bucket. A search goes through the ids, and continues
// at the 4097th entry.
func TestGetByNameOfMany(t *testing.T) {
	const (
		patience = 4096
		others   = 128
	)
	c := reload(t, fewBuckets)
	makeEntries(t, c, "same", nil, above(0, patience)...)
	makeEntries(t, c, "same", nil, above(patience+others, 5000)...)
	name := func(nr uint32) string { return fmt.Sprint("other-", nr) }
	for nr := range uint32(others) {
		makeEntry(t, c, client.Entry{ID: patience + nr, Name: name(nr)})
	}
	for nr := range uint32(others) {
		wantByName(t, c, "same", nr)
		wantByName(t, c, name(nr), patience+nr)
		wantNoName(t, c, name(nr)+"-")
		if _, err := c.Delete(t.Context(), nr); err != nil { // now the next one is the 4097th
			t.Fatal(err)
		}
	}
	makeEntry(t, c, client.Entry{ID: 0, Name: "same"})
	wantByName(t, c, "same", 0)

	twins := []uint32{20_001, 20_003, 1 << 20, 0xffffffff}
	for _, id := range slices.Backward(twins) {
		makeEntry(t, c, client.Entry{ID: id, Name: "twin"})
	}
	for _, id := range twins { // the smallest one left
		wantByName(t, c, "twin", id)
		if _, err := c.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	wantNoName(t, c, "twin")

	// The largest id is the last that a search comes to.
	for nr := range uint32(others) {
		makeEntry(t, c, client.Entry{ID: 0xffffffff, Name: name(others + nr)})
		wantByName(t, c, name(others+nr), 0xffffffff)
		if _, err := c.Delete(t.Context(), 0xffffffff); err != nil {
			t.Fatal(err)
		}
	}
}

// An entry that stays is found, no matter what changes around it. If many have
// the name, the one with the smallest id is found, even if it comes after
// everything that changes.
func TestGetByNameUnderChange(t *testing.T) {
	const last = 1 << 26 // from here on, nothing changes
	churned := uint32(unwatched(5000))
	c := reload(t, fewBuckets)
	fillForChurn(t, c, churned)
	makeEntries(t, c, "stays", nil, above(last, churned)...)
	untouched := idKinds*(churned-1) + uint32(idUntouched)
	name := oneEntry(t, c, untouched).Name
	stop := churn(t, 1, churned)
	for nr := range unwatched(50) { // about one name in sixteen is in the bucket of "stays"
		wantByName(t, c, "stays", last)
		wantByName(t, c, name, untouched)
		wantNoName(t, c, fmt.Sprint("absent-", nr))
	}
	if stop() == 0 {
		t.Error("nothing changed")
	}
}

// A search walks along a bucket from which entries are removed, in which they are
// replaced, and which they leave for another name. The one that stays is the last of
// the bucket, and the search comes to it each time.
func TestGetByNameInAChangingBucket(t *testing.T) {
	const stays, others = 1 << 20, 200
	c := reload(t, fewBuckets)
	makeEntries(t, c, "same", nil, stays)
	ids := above(stays+1, others)
	makeEntries(t, c, "same", nil, ids...)
	stop := keepReading(t, 2, func(c *client.Client) {
		if e, err := c.GetByName(t.Context(), "same"); err != nil || e.ID != stays {
			t.Errorf("got id %d, %v; want %d", e.ID, err, stays)
		}
	})
	changes := newChurner(t, 0, 1, 1)
	rounds := 100 // of 30, none may remove an entry just as a reader stands on it
	if watcher() != "" {
		rounds = 6
	}
	for range rounds {
		for nr, id := range ids {
			changes.put(cmdEntryDel, attrU32(attrID, id))
			changes.put(cmdEntryNew, attrU32(attrID, id), attrText(attrName, "same"))
			changes.put(cmdEntrySet, attrU32(attrID, id), attrU32(attrFlags, 1))
			moves := attrU32(attrID, ids[(nr+others/2)%others])
			changes.put(cmdEntrySet, moves, attrText(attrName, "another"))
			changes.put(cmdEntrySet, moves, attrText(attrName, "same"))
			if changes.queued+5 > churnBatch {
				if err := changes.flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	stop()
}

// A long search yields the processor, on which this test also runs, and can be
// killed. Then it does not find the entry. How long a search takes depends on
// the machine, so more and more entries are put in front of that entry.
// Rule 16.
func TestGetByNameCanBeKilled(t *testing.T) {
	c := reload(t, fewBuckets+" guard=grab") // it traces the start of a search
	runtime.LockOSThread()                   // the thread ends with the goroutine
	setAffinity(t, pin(t))
	tr := trace(t, "guard_read_*")
	const last = 1 << 26
	makeEntries(t, c, "same", nil, above(last, 5000)...)
	filled := uint32(0)
	for count := uint32(10_000); filled+count <= uint32(*largeTable); count *= 2 {
		fill(t, c, client.FillOptions{Count: count, IDStart: filled})
		filled += count
		if searchKilled(t, c, tr, last) {
			return
		}
	}
	t.Error("each search came to its end")
}

// searchKilled kills a search for the name of that entry, and reports whether
// that was before the end of the search.
func searchKilled(t *testing.T, c *client.Client, tr *tracer, id uint32) bool {
	t.Helper()
	before := oneEntry(t, c, id)
	seen := len(tr.events())
	search := exec.Command("bulkdump", "get", "--name", before.Name)
	if err := search.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a search that has begun", func() bool { return len(tr.events()) > seen })
	if err := search.Process.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = search.Wait()
	events := tr.events()[seen:]
	if len(events) != 2 || events[0].name != "guard_read_enter" || events[1].name != "guard_read_exit" {
		t.Fatalf("%v", events)
	}
	if oneEntry(t, c, id).Stats.Hits != before.Stats.Hits {
		return false
	}
	wantByName(t, c, before.Name, id)
	return true
}

// above returns that many ids, from first on.
func above(first, count uint32) (ids []uint32) {
	for nr := range count {
		ids = append(ids, first+nr)
	}
	return ids
}

// The bucket of a name cannot be predicted before the module is loaded, except
// by somebody who chose the salt.
func TestHashIsSalted(t *testing.T) {
	guestOnly(t)
	order := func(params string) (ids []uint32) {
		t.Run(params, func(t *testing.T) {
			c := reload(t, params)
			fill(t, c, client.FillOptions{Count: 1000})
			ids, _ = unordered(t, c, client.DumpOptions{Cursor: client.CursorBucket})
		})
		return ids
	}
	if slices.Equal(order(""), order("")) {
		t.Error("two loads of the module have the same order of buckets")
	}
	one := order("hash_salt=1")
	if !slices.Equal(one, order("hash_salt=1")) {
		t.Error("two loads of the module with one salt have different orders of buckets")
	}
	if slices.Equal(one, order("hash_salt=2")) {
		t.Error("two salts have the same order of buckets")
	}
}

// An entry changes its size all the time. Each lookup has one state of it, although a
// reply may be too small for the entry that is found at last.
func TestGetByNameAndIDWhileTheEntryGrows(t *testing.T) {
	c := setup(t)
	makeEntry(t, c, client.Entry{ID: 1, Name: "grows"})
	writer := dial(t)
	var enough atomic.Bool
	var changes sync.WaitGroup
	changes.Go(func() {
		for value := uint64(1); !enough.Load(); value++ {
			change := client.Change{ID: 1, Value: &value, Payload: []byte{}}
			if value%2 == 0 {
				change.Payload = bytes.Repeat([]byte{byte(value)}, payloadMax)
			}
			if _, err := writer.Set(t.Context(), change); err != nil {
				t.Error(err)
				return
			}
		}
	})
	sizes := make(map[int]int)
	for range unwatched(800) {
		byID, err := c.Get(t.Context(), 1)
		byName, errByName := c.GetByName(t.Context(), "grows")
		if err := errors.Join(err, errByName); err != nil {
			t.Error(err)
			break
		}
		for _, e := range []client.Entry{byID, byName} {
			sizes[len(e.Payload)]++
			if want := payloadMax * int(1-e.Value%2); e.Value > 0 && len(e.Payload) != want ||
				len(bytes.Trim(e.Payload, string([]byte{byte(e.Value)}))) > 0 {
				t.Errorf("of value %d: a payload of %d bytes, %.20x…", e.Value, len(e.Payload), e.Payload)
			}
		}
	}
	enough.Store(true)
	changes.Wait()
	if sizes[0] == 0 || sizes[payloadMax] == 0 || len(sizes) != 2 {
		t.Errorf("lookups, by the size of the payload: %v", sizes)
	}
}
