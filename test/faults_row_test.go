// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// failInARow makes several allocations of this thread fail in a row, after that
// many bytes have been allocated.
type failInARow struct {
	t       testing.TB
	failing func(call func())
}

func injectInARow(t *testing.T) *failInARow {
	t.Helper()
	return &failInARow{t, injectByChance(t, "100", "0")}
}

// in runs a system call, and returns how many allocations failed.
func (f *failInARow) in(bytes, times int, call func()) (failed int) {
	f.t.Helper()
	set := func(file string, value int) {
		f.t.Helper()
		writeFile(f.t, debugfs+failSlab+"/"+file, strconv.Itoa(value))
	}
	set("space", bytes)
	set("times", times)
	f.failing(call)
	text, err := os.ReadFile(debugfs + failSlab + "/times")
	if err != nil {
		f.t.Fatal(err)
	}
	left, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		f.t.Fatal(err)
	}
	set("times", 0)
	return times - left
}

// eachUntil tries after 0 bytes, step bytes and so on, until nothing fails any more.
// Then it tries again until the wanted outcome was seen.
func (f *failInARow) eachUntil(heard func() bool, step int, try func(bytes int) (failed int)) {
	places := 0
	for try(places*step) > 0 {
		places++
	}
	again(heard, places, func(place int) { try(place * step) })
}

// If an XArray gets no memory, it tries a second allocation. Both fail here, at
// each place of a change. The change is refused, and the table does not change.
// Each new entry has an id far from the others, so no later one uses the nodes
// that the array may have got before.
func TestFaultsInARow(t *testing.T) {
	needFaults(t)
	c := setup(t)
	const step = 250 // bytes; less than half of what an XArray's node takes
	for _, op := range []struct {
		name    string
		request func(nth uint32) []byte
		lacked  []string
	}{
		{"new", func(nth uint32) []byte {
			return request(cmdEntryNew, attrU32(attrID, nth<<18), attrText(attrName, "n"))
		}, []string{"the id", "the change log"}},
		{"set", func(uint32) []byte {
			return request(cmdEntrySet, attrU32(attrID, 5), attrText(attrName, "m"))
		}, []string{"the change log"}},
		{"del", func(uint32) []byte {
			return request(cmdEntryDel, attrU32(attrID, 5))
		}, []string{"the change log"}},
	} {
		t.Run(op.name, func(t *testing.T) {
			f := injectInARow(t)
			lacked := make(map[string]bool)
			tries := uint32(0)
			try := func(bytes int) (failed int) {
				tries++
				flush(t, c)
				// The next generation needs a new node of the log.
				fill(t, c, client.FillOptions{IDStart: 5, Count: uint32(64 - (state(t, c).Generation+1)%64)})
				before := state(t, c)
				text, err := askFailing(t, op.request(tries), func(send func()) { failed = f.in(bytes, 2, send) })
				lacked[strings.TrimPrefix(text, "no memory for ")] = true
				after := state(t, c)
				same := after.Generation == before.Generation && after.Count == before.Count && after.Bytes == before.Bytes
				if errors.Is(err, unix.ENOMEM) && !same {
					t.Errorf("after %d bytes: refused, but from %+v to %+v", bytes, before, after)
				}
				return failed
			}
			heard := func() bool {
				return !slices.ContainsFunc(op.lacked, func(what string) bool { return !lacked[what] })
			}
			nodes := xarrayNodes(t)
			f.eachUntil(heard, step, try)
			if !heard() {
				t.Errorf("not all said that there was no memory for it: %v of %v", lacked, op.lacked)
			}
			// A try may leave nodes without an entry, and a flush frees them.
			flush(t, c)
			after := xarrayNodes(t)
			figures(t, "%s: %d tries, from %d nodes of XArrays to %d", op.name, tries, nodes, after)
			if after > nodes+8 { // others allocate, too
				t.Errorf("%d tries, and from %d nodes of XArrays to %d", tries, nodes, after)
			}
		})
	}
}
