// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// A fill hits the memory limit of its control group. It is refused, nothing of it
// is left, and the table of others is as it was.
func TestFillAtTheMemoryLimit(t *testing.T) {
	for _, tt := range []struct{ count, payload uint32 }{{1_000_000, 0}, {2000, payloadMax}} { // a hundred megabytes
		t.Run(fmt.Sprint("payloads of ", tt.payload), func(t *testing.T) {
			c := setup(t)
			makeEntry(t, c, client.Entry{ID: 1 << 31})
			before := state(t, c)
			s := openRaw(t, client.FamilyName, smallBuffer)
			fill := s.message(unix.NLM_F_REQUEST|unix.NLM_F_ACK,
				request(cmdTableFill, attrU32(attrCount, tt.count), attrU32(attrPayloadMin, tt.payload)))
			group := limitedGroup(t, 4<<20)
			inGroup(t, group, func() {
				if _, err := unix.Write(s.fd, fill); err != nil {
					t.Error(err)
				}
			})
			if v := s.answerTo(s.seq); v.errno != unix.ENOMEM || !strings.HasPrefix(v.text, "no memory for the ") {
				t.Errorf("%+v, want ENOMEM", v)
			}
			after := state(t, c)
			if after.Count != 1 || after.Bytes != before.Bytes || after.Generation == before.Generation {
				t.Errorf("from %+v to %+v", before, after)
			}
			wantIDs(t, mustDump(t, c, client.DumpOptions{}).ids, 1<<31)
			failed(t, group)
		})
	}
}

// Four hundred dumps or more start, more than the memory limit of the control group that
// asks for them allows. Those that are refused leave nothing, and each other one
// sends the whole table.
func TestDumpsAtTheMemoryLimit(t *testing.T) {
	// Of columns, nearly all that is charged is the page in the making.
	t.Run("columns", func(t *testing.T) {
		dumpsAtTheMemoryLimit(t, client.EncodingColumns, 1<<20, noMemory("for a page of columns"), noMemory("for the dump"))
	})
	t.Run("plain", func(t *testing.T) {
		dumpsAtTheMemoryLimit(t, client.EncodingPlain, 32<<10, noMemory("for the dump"))
	})
}

func dumpsAtTheMemoryLimit(t *testing.T, encoding client.Encoding, limit int, refusals ...verdict) {
	const count = 200
	allowed := max(limit, os.Getpagesize()) // at least a page is charged
	asked := 400 * allowed / limit
	c := setup(t)
	fill(t, c, client.FillOptions{Count: count})
	before := state(t, c)
	var all []*rawSocket
	var requests [][]byte
	for nr := range asked {
		s := openRaw(t, client.FamilyName, 64<<10)
		all = append(all, s)
		requests = append(requests, s.message(flagDump, request(cmdEntryGet, attrU32(attrEncoding, uint32(encoding)),
			attrU32(attrCursor, uint32(cursors[nr%len(cursors)])))))
	}
	group := limitedGroup(t, allowed)
	inGroup(t, group, func() {
		for nr, s := range all {
			if _, err := unix.Write(s.fd, requests[nr]); err != nil {
				t.Error(err)
			}
		}
	})
	started := state(t, c).DumpsStarted - before.DumpsStarted
	if open := state(t, c).DumpsOpen; open != started || started < uint64(asked/20) || started > uint64(asked*3/4) {
		t.Errorf("%d dumps of %d started, and %d are open", started, asked, open)
	}
	refused := make(map[verdict]int)
	whole := 0
	for _, s := range all {
		n, err := s.recv(unix.MSG_PEEK)
		if err != nil {
			t.Fatal(err)
		}
		// 6.1 says it in DONE.
		if first := messages(t, s.buf[:n])[0]; first.Type == unix.NLMSG_ERROR || first.Type == unix.NLMSG_DONE {
			v := verdictOf(t, first)
			v.done = false
			refused[v]++
		} else {
			var ids []uint32
			for _, p := range s.rest(func(int) {}) {
				ids = append(ids, p.ids...)
			}
			wantOnceEach(t, "a dump that started", ids, count)
			whole++
		}
		s.close()
	}
	none := 0
	for _, v := range refusals {
		none += refused[v]
	}
	if none+whole != asked || uint64(whole) != started {
		t.Errorf("%d dumps started, %d were whole, and the others were refused with %v", started, whole, refused)
	}
	if s := checkCounters(t, c); s.DumpsMemory != 0 {
		t.Errorf("%d bytes are left", s.DumpsMemory)
	}
	failed(t, group)
}

// The first entries of new namespaces are made, more than the memory limit of the
// control group that makes them allows. Those that are refused say what there was no
// memory for, with it the hash table of names.
func TestFirstEntriesAtTheMemoryLimit(t *testing.T) {
	const namespaces = 60
	reload(t, "hash_bits=10") // 8 KiB, for which kvmalloc() also asks vmalloc()
	var all []*rawSocket
	var requests [][]byte
	for range namespaces {
		var s *rawSocket
		inNewNetNS(t, func() { s = openRaw(t, client.FamilyName, smallBuffer) })
		all = append(all, s)
		requests = append(requests, s.message(unix.NLM_F_REQUEST|unix.NLM_F_ACK, request(cmdEntryNew, attrU32(attrID, 1), attrText(attrName, "first"))))
	}
	group := limitedGroup(t, 128<<10)
	inGroup(t, group, func() {
		for nr, s := range all {
			if _, err := unix.Write(s.fd, requests[nr]); err != nil {
				t.Error(err)
			}
		}
	})
	answers := make(map[string]int)
	for _, s := range all {
		v := s.answerTo(s.seq)
		answers[v.text]++
		if v.errno != 0 && (v.errno != unix.ENOMEM || !strings.HasPrefix(v.text, "no memory for ")) {
			t.Errorf("%+v, want ENOMEM", v)
		}
	}
	if answers[""] == 0 || answers["no memory for the hash table of names"] == 0 {
		t.Errorf("of %d namespaces: %v", namespaces, answers)
	}
	failed(t, group)
}

func noMemory(what string) verdict { return verdict{errno: unix.ENOMEM, text: "no memory " + what} }

// failed fails the test if the limit of a group was not reached.
func failed(t *testing.T, group string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(group, "memory.failcnt"))
	if err != nil || strings.TrimSpace(string(text)) == "0" {
		t.Errorf("the limit was hit %s times (%v)", text, err)
	}
}

// inGroup runs a function on a thread in a control group. The kernel charges what
// it allocates there to the group, but not the process's own memory. It does charge
// page tables, so the function must not touch new memory.
func inGroup(t *testing.T, group string, fn func()) {
	t.Helper()
	runtime.LockOSThread() // and it stays locked, and ends, if it cannot leave
	thread := []byte(strconv.Itoa(unix.Gettid()))
	var tasks [2]*os.File
	for nr, dir := range []string{group, filepath.Dir(group)} {
		file, err := os.OpenFile(filepath.Join(dir, "tasks"), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		tasks[nr] = file
	}
	if _, err := tasks[0].Write(thread); err != nil {
		t.Fatal(err)
	}
	fn()
	if _, err := tasks[1].Write(thread); err != nil {
		t.Fatal(err)
	}
	runtime.UnlockOSThread()
}

// limitedGroup makes a control group whose allocations fail at a limit. Only
// version 1 can do that: in version 2, the kernel kills somebody instead.
func limitedGroup(t *testing.T, limit int) (group string) {
	t.Helper()
	group = memoryGroup(t, 1)
	for file, text := range map[string]string{"memory.limit_in_bytes": strconv.Itoa(limit), "memory.oom_control": "1"} {
		writeFile(t, filepath.Join(group, file), text)
	}
	return group
}
