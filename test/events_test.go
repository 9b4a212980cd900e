// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/mdlayher/genetlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// The numbers of the events, written by hand like the whole ABI here.
const (
	eventNew   = 8
	eventSet   = 9
	eventDel   = 10
	eventFill  = 11
	eventFlush = 12

	attrGeneration      = 7
	attrFillStart       = 3
	attrFillStride      = 4
	attrPayloadMin      = 5
	attrPayloadMax      = 6
	attrFillGeneration  = 7
	attrTableGeneration = 2
)

// listen opens a socket that gets the events of the group "entries".
func listen(t testing.TB) *rawSocket {
	t.Helper()
	f := getFamily(t, client.FamilyName)
	i := slices.IndexFunc(f.Groups, func(g genetlink.MulticastGroup) bool { return g.Name == "entries" })
	if i < 0 {
		t.Fatalf("no group entries in %v", f.Groups)
	}
	s := openRaw(t, client.FamilyName, 128<<10)
	if err := unix.SetsockoptInt(s.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, int(f.Groups[i].ID)); err != nil {
		t.Fatal(err)
	}
	return s
}

// An event, with the fields of each kind.
type event struct {
	cmd        uint8
	id         uint32
	generation uint64
	count      uint64
}

func (s *rawSocket) event() event {
	s.t.Helper()
	ms, _ := s.read()
	return eventOf(s.t, ms)
}

// eventOf reads the messages of a datagram.
func eventOf(t testing.TB, ms []nldump.Message) event {
	t.Helper()
	if len(ms) != 1 {
		t.Fatalf("%d messages in a datagram of events", len(ms))
	}
	e := event{cmd: ms[0].Data[0]}
	a := nldump.Parse(ms[0].Data[4:])
	for a.Next() {
		switch {
		case e.cmd <= eventDel && a.Type() == attrID:
			e.id = a.Uint32()
		case e.cmd <= eventDel && a.Type() == attrGeneration,
			e.cmd == eventFill && a.Type() == attrFillGeneration,
			e.cmd == eventFlush && a.Type() == attrTableGeneration:
			e.generation = a.Uint()
		case e.cmd == eventFill && a.Type() == attrFillStart:
			e.id = a.Uint32()
		case e.cmd > eventDel && a.Type() == attrCount:
			e.count = a.Uint()
		}
	}
	if a.Err() != nil {
		t.Fatal(a.Err())
	}
	return e
}

// nothing checks that no event is waiting.
func (s *rawSocket) nothing() {
	s.t.Helper()
	if n, _, err := unix.Recvfrom(s.fd, s.buf, unix.MSG_DONTWAIT); err != unix.EAGAIN {
		s.t.Errorf("%d bytes (%v) where nothing was due", n, err)
	}
}

// Each change has an event with its generation. A fill and a flush have one
// each, whatever their size. A refused change has none.
func TestEventOfEachChange(t *testing.T) {
	c := setup(t)
	s := listen(t)
	generation := func() uint64 { return state(t, c).Generation }
	want := func(w event) {
		t.Helper()
		if got := s.event(); got != w {
			t.Errorf("event %+v, want %+v", got, w)
		}
		s.nothing()
	}
	makeEntry(t, c, client.Entry{ID: 5, Name: "five", Payload: make([]byte, client.PayloadLenMax)})
	want(event{cmd: eventNew, id: 5, generation: generation()})
	if _, err := c.Set(t.Context(), client.Change{ID: 5, Value: ptr(uint64(1))}); err != nil {
		t.Fatal(err)
	}
	want(event{cmd: eventSet, id: 5, generation: generation()})
	if _, err := c.Set(t.Context(), client.Change{ID: 6, Name: ptr("six"), Create: true}); err != nil {
		t.Fatal(err)
	}
	want(event{cmd: eventNew, id: 6, generation: generation()})
	if _, err := c.Delete(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	want(event{cmd: eventDel, id: 5, generation: generation()})
	fill(t, c, client.FillOptions{Count: 1000, IDStart: 10})
	want(event{cmd: eventFill, id: 10, count: 1000, generation: generation()})

	if _, err := c.New(t.Context(), client.Entry{ID: 6, Name: "again"}); err == nil {
		t.Error("an entry was made twice")
	}
	if _, err := c.Delete(t.Context(), 5); err == nil {
		t.Error("an entry was deleted twice")
	}
	if _, err := c.Fill(t.Context(), client.FillOptions{Count: 10, IDStart: 5}); err == nil {
		t.Error("a fill over what is there")
	}
	s.nothing()

	flush(t, c)
	want(event{cmd: eventFlush, count: 1001, generation: generation()})
}

// An event is for those that listen in the namespace of the change.
// Rule 13.
func TestEventStaysInItsNamespace(t *testing.T) {
	here := setup(t)
	ns := newNetNS(t)
	there, err := client.Dial(client.Config{NetNS: int(ns.Fd())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = there.Close() })
	var those *rawSocket
	inNewNetNS(t, func() {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Fatal(err)
		}
		those = listen(t)
	})
	want := func(s *rawSocket, c *client.Client, id uint32) {
		t.Helper()
		makeEntry(t, c, client.Entry{ID: id})
		if got, want := s.event(), (event{cmd: eventNew, id: id, generation: state(t, c).Generation}); got != want {
			t.Errorf("event %+v, want %+v", got, want)
		}
	}
	want(those, there, 5) // nobody listens here
	these := listen(t)
	want(those, there, 6)
	these.nothing()
	want(these, here, 7)
	those.nothing()
}

// An event is sent after its change is visible. Events of racing writers come
// in order of generation, without a gap.
func TestEventsComeInOrder(t *testing.T) {
	c := setup(t)
	s := listen(t)
	// At most as many as the socket holds.
	const writers, each = 4, 50
	first := state(t, c).Generation
	var wg sync.WaitGroup
	for w := range uint32(writers) {
		wg.Go(func() {
			for i := range uint32(each) {
				if _, err := c.New(t.Context(), client.Entry{ID: w*each + i, Name: fmt.Sprint(w)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range uint64(writers * each) {
		e := s.event()
		if e.cmd != eventNew || e.generation != first+1+i {
			t.Fatalf("event %+v, want generation %d", e, first+1+i)
		}
		if got, err := c.Get(t.Context(), e.id); err != nil || got.Generation != e.generation {
			t.Fatalf("event %+v, but get says %+v, %v", e, got, err)
		}
	}
	wg.Wait()
}

// A listener that does not read loses events and gets an error. Others are not
// affected.
func TestEventsLostAreTold(t *testing.T) {
	c := setup(t)
	s := listen(t)
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10); err != nil {
		t.Fatal(err)
	}
	for id := range uint32(100) {
		makeEntry(t, c, client.Entry{ID: id})
	}
	got := 0
	for ; ; got++ {
		_, _, err := unix.Recvfrom(s.fd, s.buf, unix.MSG_DONTWAIT)
		if err == unix.ENOBUFS {
			break
		}
		if err != nil {
			t.Fatalf("after %d events: %v, want ENOBUFS", got, err)
		}
	}
	if got >= 100 {
		t.Errorf("%d events of 100, and some were lost", got)
	}
}

// A request with NLM_F_ECHO gets the event of its own change, without listening.
func TestEventIsEchoed(t *testing.T) {
	setup(t)
	s := openRaw(t, client.FamilyName, 64<<10)
	s.send(cmdEntryNew, unix.NLM_F_REQUEST|unix.NLM_F_ECHO, attrU32(attrID, 3), attrText(attrName, "three"))
	if e := s.event(); e.cmd != eventNew || e.id != 3 {
		t.Errorf("event %+v, want the new entry", e)
	}
	if ms, _ := s.read(); len(ms) != 1 || ms[0].Data[0] != cmdEntryNew {
		t.Errorf("%+v, want the reply", ms)
	}
}
