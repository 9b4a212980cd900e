// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// A fill holds the table. Whoever waits for it, a writer or a reader, can be killed.
// Nothing is changed then, nothing stays locked, and a dump ends with an error, for
// those who share the socket.
// Rules 16, 28.
func TestKilledWhileItWaitsForTheTable(t *testing.T) {
	c := reload(t, "guard=grab")
	makeEntry(t, c, client.Entry{ID: 1 << 31, Name: "there"})
	before := state(t, c)
	tr := trace(t, "guard_*")
	cpu := pin(t) // on one processor, nobody spins for a lock
	fill := roleCommand(t, roleFill)
	startOn(t, fill, cpu)
	waitFor(t, "a fill that has begun", func() bool { return tr.count("guard_write_enter") == 1 })

	id, name := attrU32(attrID, 1<<31), attrText(attrName, "there")
	for _, tt := range []struct {
		name  string
		flags uint16
		body  []byte
	}{
		{"new", 0, request(cmdEntryNew, attrU32(attrID, 1<<30), name)},
		{"set", 0, request(cmdEntrySet, id, name)},
		{"del", 0, request(cmdEntryDel, id)},
		{"fill", 0, request(cmdTableFill, attrU32(attrCount, 1))},
		{"flush", 0, request(cmdTableFlush)},
		{"table-get", 0, request(cmdTableGet)},
		{"get by id", 0, request(cmdEntryGet, id)},
		{"get by name", 0, request(cmdEntryGet, name)},
		{"dump", unix.NLM_F_DUMP, request(cmdEntryGet)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openRaw(t, client.FamilyName, smallBuffer)
			cmd := startSender(t, s, cpu, unix.NLM_F_REQUEST|unix.NLM_F_ACK|tt.flags, tt.body)
			waitInSend(t, cmd)
			kill(t, cmd)
			if tt.flags != unix.NLM_F_DUMP {
				s.nothing()
			} else if v := s.answerTo(s.seq); v.errno != unix.EINTR || !v.done {
				t.Errorf("the dump ended with %+v, want EINTR", v)
			}
		})
	}
	t.Run("proc", func(t *testing.T) {
		waiting := tr.count("guard_read_wait")
		cmd := exec.CommandContext(t.Context(), "cat", procFile)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "a read that waits", func() bool { return tr.count("guard_read_wait") > waiting })
		kill(t, cmd)
	})

	kill(t, fill)
	if after := state(t, c); after.Count != 1 || after.Bytes != before.Bytes {
		t.Errorf("%d entries of %d bytes, want 1 of %d", after.Count, after.Bytes, before.Bytes)
	}
	wantByName(t, c, "there", 1<<31)
	flush(t, c)
	for _, e := range tr.events() {
		if e.number("readers") < 0 {
			t.Fatalf("somebody left who was not in: %v", e)
		}
	}
	if n := len(tr.all); tr.all[n-1].number("readers") != 0 || tr.all[n-1].number("writing") != 0 {
		t.Errorf("at the end: %v", tr.all[n-1])
	}
}

// A dump that looks at the table without end is killed, and its end says so.
// Rule 16.
func TestKilledInAScan(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: large()})
	for range 10 { // a scan may end before the signal comes
		before := state(t, c).DumpsStarted
		s := openRaw(t, client.FamilyName, smallBuffer)
		cmd := startSender(t, s, pin(t), flagDump, request(cmdEntryGet,
			attrU32(attrCursor, uint32(client.CursorIndex)), nest(attrFilter, attrText(attrNamePrefix, "none"))))
		waitFor(t, "a dump that has begun", func() bool { return state(t, c).DumpsStarted > before })
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		v := s.answerTo(s.seq)
		if v.errno == unix.EINTR && v.done {
			return
		}
		if v.errno != 0 {
			t.Fatalf("the dump ended with %+v, want EINTR", v)
		}
		s.close()
	}
	t.Error("each scan came to its end")
}
