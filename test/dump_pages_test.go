// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

const (
	payloadMax = 60000
	doneSize   = unix.SizeofNlMsghdr + 4
)

// rooms returns the capacities of a page (af_netlink.c:netlink_dump). On a socket that
// was not read yet, it is NLMSG_GOODSIZE: a page of the machine, 8 KiB at most, less
// what the kernel keeps behind it. Then it is the reader's buffer, but no more than
// 32 KiB less the same. What is kept differs between machines, so the trace tells.
func rooms(t testing.TB, c *client.Client) (goodSize, largest int) {
	t.Helper()
	tr := trace(t, "dump_page")
	makeEntry(t, c, client.Entry{ID: 1})
	s := openRaw(t, client.FamilyName, 64<<10)
	s.send(cmdEntryGet, flagDump)
	s.readDump()
	s.close()
	flush(t, c)
	goodSize = int(tr.events()[0].number("room"))
	return goodSize, 32<<10 - (smallBuffer - goodSize)
}

// smallBuffer is the smallest receive buffer into which a first page fits.
var smallBuffer = min(os.Getpagesize(), 8<<10)

// smallPages returns how many records take as many pages of that buffer as n records
// do where memory pages have 4 KiB. 320 bytes of a page are the kernel's.
func smallPages(n uint32) uint32 {
	const kept = 320
	return n * uint32(smallBuffer-kept) / (4<<10 - kept)
}

// bufferSizes are the receive buffers that every set is read with.
var bufferSizes = []int{smallBuffer, 8 << 10, 16 << 10, 32 << 10, 64 << 10}

// recordSize returns the length of the record of an entry with that payload.
func recordSize(t testing.TB, c *client.Client, payload int) int {
	t.Helper()
	flush(t, c)
	makeEntry(t, c, client.Entry{Payload: make([]byte, payload)})
	s := openRaw(t, client.FamilyName, 64<<10)
	defer s.close()
	s.send(cmdEntryGet, flagDump)
	pages, _ := s.readDump()
	return unix.SizeofNlMsghdr + len(pages[0][0].Data)
}

func TestDumpWithEachPayloadSize(t *testing.T) {
	c := setup(t)
	sizes := []int{0, 1, 2, 3, 4, 5, 255, 256, 4095, 4096, 32767, 32768, payloadMax - 1, payloadMax}
	want := make(map[uint32][]byte)
	for i, size := range sizes {
		payload := make([]byte, size)
		for j := range payload {
			payload[j] = byte(i + j*7)
		}
		want[uint32(i)] = payload
		makeEntry(t, c, client.Entry{ID: uint32(i), Payload: payload})
	}
	n := 0
	for r, err := range c.Records(t.Context(), client.DumpOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(r.Payload, want[r.ID]) {
			t.Errorf("payload of id %d differs: %d bytes, want %d", r.ID, len(r.Payload), len(want[r.ID]))
		}
		n++
	}
	if n != len(sizes) {
		t.Errorf("%d records, want %d", n, len(sizes))
	}
}

// Several records fill a page to the byte, or to within a few bytes. None is
// lost or cut at the end of a page, and DONE comes even if it does not fit
// behind them.
// Rules 1, 20, 23.
func TestDumpPageFilledToTheByte(t *testing.T) {
	c := setup(t)
	ids := []uint32{0, 1, 2, 3, 4, 5, 6}
	overhead := recordSize(t, c, 4) - 4 // with a payload that is a multiple of 4
	doneAlone, doneShared := false, false
	goodSize, largestCap := rooms(t, c)
	for _, tt := range []struct{ capacity, perPage, buffer int }{
		{goodSize, 2, smallBuffer}, {goodSize, 4, 64 << 10}, {smallBuffer, 2, smallBuffer}, {8 << 10, 2, 8 << 10},
		{16 << 10, 4, 16 << 10}, {largestCap, 4, 32 << 10}, {largestCap, 2, 64 << 10},
	} {
		filled := false
		fit := tt.capacity/tt.perPage - overhead
		// In steps of 3: this gives each size that a record may have, with
		// different padding.
		for payload := fit - 2*doneSize; payload <= fit+2*doneSize; payload += 3 {
			flush(t, c)
			makeEntries(t, c, "entry", make([]byte, payload), ids...)
			s := openRaw(t, client.FamilyName, tt.buffer)
			s.send(cmdEntryGet, flagDump)
			pages, sizes := s.readDump()
			s.close()
			next := uint32(0)
			for i, page := range pages {
				for j, m := range page {
					if m.Type == unix.NLMSG_DONE {
						if v := verdictOf(t, m); v.errno != 0 {
							t.Fatalf("payload %d: dump ended with %v", payload, v.errno)
						}
						doneAlone = doneAlone || j == 0
						doneShared = doneShared || j > 0
						continue
					}
					if id := idOf(t, m); id != next {
						t.Fatalf("payload %d, page %d: id %d, want %d", payload, i, id, next)
					}
					next++
				}
				filled = filled || sizes[i] == tt.capacity && len(page) == tt.perPage
			}
			if next != uint32(len(ids)) {
				t.Fatalf("payload %d, buffer %d: %d records, want %d", payload, tt.buffer, next, len(ids))
			}
		}
		if !filled {
			t.Errorf("no page of %d bytes came with %d records and nothing else on it", tt.capacity, tt.perPage)
		}
	}
	if !doneAlone || !doneShared {
		t.Errorf("DONE alone on its page: %v, with records: %v; want both", doneAlone, doneShared)
	}
}

// A record that is as large as the buffer comes whole. A larger one is an error
// and is never cut.
func TestDumpRecordAsLargeAsTheBuffer(t *testing.T) {
	c := setup(t)
	overhead := recordSize(t, c, 4) - 4
	for _, buffer := range []int{smallBuffer, 8 << 10, 16 << 10, 32 << 10} {
		for payload := buffer - overhead - 2*doneSize; payload <= buffer-overhead+2*doneSize; payload += 4 {
			flush(t, c)
			for id := range uint32(3) {
				makeEntry(t, c, client.Entry{ID: id, Payload: make([]byte, payload)})
			}
			d, err := dump(t, c, client.DumpOptions{BufferSize: buffer})
			if size := payload + overhead; size <= buffer {
				if err != nil || d.count != 3 {
					t.Errorf("record of %d bytes, buffer of %d: %d records, error %v", size, buffer, d.count, err)
				}
				if size == buffer && d.stats.LargestPage != buffer {
					t.Errorf("largest page of %d bytes, want %d", d.stats.LargestPage, buffer)
				}
			} else if !errors.Is(err, client.ErrTruncated) {
				t.Errorf("record of %d bytes, buffer of %d: %d records, error %v, want one of truncation", size, buffer, d.count, err)
			}
		}
	}
}

// With any buffer, a dump is complete, or fails with an error that says why.
func TestDumpWithEachReceiveBuffer(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fill     client.FillOptions
		smallest int // the smallest buffer for all records
	}{
		{"small records", client.FillOptions{Count: 5000, PayloadMax: 64}, smallBuffer},
		{"records of a page", client.FillOptions{Count: 300, PayloadMin: 3000, PayloadMax: 3400}, smallBuffer},
		{"records of up to 7000", client.FillOptions{Count: 300, PayloadMax: 7000}, 8 << 10},
		{"largest records", client.FillOptions{Count: 20, PayloadMin: payloadMax}, 64 << 10},
		{"all sizes", client.FillOptions{Count: 200, PayloadMax: payloadMax}, 64 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := setup(t)
			f := fill(t, c, tt.fill)
			for _, buffer := range bufferSizes {
				t.Run(fmt.Sprint(buffer), func(t *testing.T) {
					d, err := dump(t, c, client.DumpOptions{BufferSize: buffer})
					switch {
					case err == nil:
						if d.count != uint64(f.Count) || d.sum != f.Checksum {
							t.Errorf("short success: %d records of %d", d.count, f.Count)
						}
						if d.stats.LargestPage > buffer {
							t.Errorf("page of %d bytes in a buffer of %d", d.stats.LargestPage, buffer)
						}
					case buffer >= tt.smallest:
						t.Errorf("error %v, though each record fits", err)
					case !errors.Is(err, client.ErrTruncated):
						t.Errorf("error %v, want one of truncation", err)
					}
				})
			}
		})
	}
}

// A buffer of record-max bytes never truncates.
// Rule 29.
func TestRecordMaxNeverTruncates(t *testing.T) {
	c := setup(t)
	for _, payload := range []uint32{3000, 5000, 40000, payloadMax} {
		flush(t, c)
		f := fill(t, c, client.FillOptions{Count: 10, PayloadMin: payload})
		buffer := max(int(state(t, c).RecordMax), smallBuffer)
		d := mustDump(t, c, client.DumpOptions{BufferSize: buffer})
		if d.sum != f.Checksum {
			t.Errorf("payload %d: checksum %v, want %v", payload, d.sum, f.Checksum)
		}
		if d.stats.LargestPage > buffer {
			t.Errorf("payload %d: page of %d, record-max %d", payload, d.stats.LargestPage, buffer)
		}
	}
}
