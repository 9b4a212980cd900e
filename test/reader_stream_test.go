// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/nldump"
)

// What package nldump promises about streams, where only a real kernel can show
// it.

// entryDump dumps the table with nldump alone, from an id on. It checks the
// order and can resume after a page that did not fit.
func entryDump(t *testing.T) nldump.Dump {
	t.Helper()
	f := getFamily(t, client.FamilyName)
	from := func(id uint32) (nldump.Message, error) {
		e := netlink.NewAttributeEncoder()
		e.Nested(attrFilter, func(e *netlink.AttributeEncoder) error {
			e.Uint32(attrIDFrom, id)
			return nil
		})
		attrs, err := e.Encode()
		return nldump.Message{
			Type: f.ID,
			Data: append([]byte{cmdEntryGet, 1, 0, 0}, attrs...),
		}, err
	}
	d := nldump.Dump{
		Key: func(dst []byte, m nldump.Message) ([]byte, error) {
			a := m.Attrs(unix.GENL_HDRLEN)
			a.Find(attrID)
			return binary.BigEndian.AppendUint32(dst, a.Uint32()), a.Err()
		},
		Resume: func(after []byte) (nldump.Message, error) { return from(binary.BigEndian.Uint32(after) + 1) },
	}
	var err error
	if d.Request, err = from(0); err != nil {
		t.Fatal(err)
	}
	return d
}

func dialStream(t *testing.T, family int, cfg nldump.Config) *nldump.Stream {
	t.Helper()
	s, err := nldump.Dial(family, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// If a page does not fit, the buffer grows, as often as needed, and each entry
// comes once.
func TestStreamResumesAfterPagesThatDoNotFit(t *testing.T) {
	c := setup(t)
	const count = 300
	fill(t, c, client.FillOptions{Count: count, PayloadMin: 100})
	grow(t, c, count/2) // so all pages have the same size
	d := entryDump(t)
	s := dialStream(t, unix.NETLINK_GENERIC, nldump.Config{BufferSize: nldump.MinBufferSize})
	var got []uint32
	var last error
	for m, err := range s.Dump(t.Context(), d) {
		if last = err; err == nil {
			got = append(got, idOf(t, m))
		}
	}
	want := make([]uint32, count)
	for i := range want {
		want[i] = uint32(i)
	}
	wantIDs(t, got, want...)
	if st := s.Stats(); !errors.Is(last, nldump.ErrInterrupted) || st.Resumed == 0 || st.LargestPage <= nldump.MinBufferSize {
		t.Errorf("%v; %+v", last, st)
	}
	// If the buffer may not grow that far, that is an error, and nothing of the
	// page is delivered.
	s = dialStream(t, unix.NETLINK_GENERIC, nldump.Config{BufferSize: nldump.MinBufferSize, MaxBufferSize: 8 << 10})
	records := 0
	for _, err := range s.Dump(t.Context(), d) {
		if last = err; err == nil {
			records++
		}
	}
	if !errors.Is(last, nldump.ErrTruncated) || uint64(records) != s.Stats().Records {
		t.Errorf("%v after %d records", last, records)
	}
	_ = s.Close()
}

// The kernel counts a dump that its reader leaves as abandoned.
func TestStreamAbandons(t *testing.T) {
	const count = 2000
	for how, name := range map[nldump.Abandon]string{
		nldump.AbandonPark: "park", nldump.AbandonClose: "close", nldump.AbandonDrain: "drain",
	} {
		t.Run(name, func(t *testing.T) {
			c := setup(t)
			fill(t, c, client.FillOptions{Count: count})
			before := checkCounters(t, c)
			s := dialStream(t, unix.NETLINK_GENERIC, nldump.Config{Abandon: how})
			d := entryDump(t)
			for _, err := range s.Dump(t.Context(), d) {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			switch now := state(t, c); {
			case how == nldump.AbandonPark && (now.DumpsOpen != 1 || s.Idle()):
				t.Errorf("%d dumps open, idle %v", now.DumpsOpen, s.Idle())
			case how == nldump.AbandonDrain && (now.DumpsFinished != before.DumpsFinished+1 || !s.Idle()):
				t.Errorf("%d dumps finished, %d before, idle %v", now.DumpsFinished, before.DumpsFinished, s.Idle())
			case how == nldump.AbandonClose:
				waitFor(t, "the dump abandoned", func() bool { return state(t, c).DumpsAbandoned == before.DumpsAbandoned+1 })
			}
			if how == nldump.AbandonPark {
				if err := s.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			records := 0
			for _, err := range s.Dump(t.Context(), d) {
				if err != nil {
					t.Fatal(err)
				}
				records++
			}
			if records != count {
				t.Errorf("the next dump: %d records, want %d", records, count)
			}
		})
	}
}

// While a reader holds all pages of the pool, the kernel's dump waits, and the
// held pages do not change.
func TestPagesAreHeld(t *testing.T) {
	c := setup(t)
	const count, pages = 20_000, 8
	fill(t, c, client.FillOptions{Count: count})
	pool := nldump.NewPool(pages)
	s := dialStream(t, unix.NETLINK_GENERIC, nldump.Config{Pool: pool})
	var held []nldump.Page
	next := uint32(0)
	release := func() {
		for _, p := range held {
			for m := range p.Records() {
				if id := idOf(t, m); id != next {
					t.Fatalf("id %d, want %d", id, next)
				}
				next++
			}
			p.Release()
		}
		held = nil
	}
	for p, err := range s.Pages(t.Context(), entryDump(t)) {
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, p)
		if pool.Held() == pages {
			if open := state(t, c).DumpsOpen; open != 1 && next == 0 {
				t.Errorf("%d dumps open while the first %d pages are held", open, pages)
			}
			release()
		}
	}
	release()
	if next != count || pool.Held() != 0 || s.Stats().Pages <= pages {
		t.Errorf("%d entries, %d pages held; %+v", next, pool.Held(), s.Stats())
	}
}

// addAddress adds the i-th address to lo.
func addAddress(t *testing.T, c *netlink.Conn, i int) {
	t.Helper()
	e := netlink.NewAttributeEncoder()
	e.Bytes(unix.IFA_LOCAL, []byte{10, 0, byte(i >> 8), byte(i)})
	attrs, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	header := []byte{unix.AF_INET, 32, 0, 0, 1, 0, 0, 0} // struct ifaddrmsg; lo is link 1
	binary.NativeEndian.PutUint32(header[4:], 1)
	m := netlink.Message{
		Header: netlink.Header{Type: unix.RTM_NEWADDR, Flags: netlink.Request | netlink.Create | netlink.Excl | netlink.Acknowledge},
		Data:   append(header, attrs...),
	}
	if _, err := c.Execute(m); err != nil {
		t.Fatal(err)
	}
}

// The addresses of links have no change log, but rtnetlink reports whether they
// changed during a dump. Retry delivers a pass without a change, or reports
// that there was none.
func TestRetryOfAStockFamily(t *testing.T) {
	guestOnly(t)
	ns := int(newNetNS(t).Fd())
	c, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{NetNS: ns})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	added := 0
	for ; added < 500; added++ {
		addAddress(t, c, added)
	}
	s := dialStream(t, unix.NETLINK_ROUTE, nldump.Config{NetNS: ns, BufferSize: nldump.MinBufferSize})
	d := nldump.Dump{Request: nldump.Message{Type: unix.RTM_GETADDR, Data: make([]byte, unix.SizeofIfAddrmsg)}}
	d.Request.Data[0] = unix.AF_INET
	for _, tt := range []struct{ changed, attempts int }{{2, 3}, {3, 3}} {
		var got [][4]byte
		begun := 0
		err := s.Retry(t.Context(), d, tt.attempts, func(attempt int) {
			begun, got = attempt, nil
		}, func(m nldump.Message) error {
			if len(got) == 0 && begun <= tt.changed {
				addAddress(t, c, added)
				added++
			}
			a := m.Attrs(unix.SizeofIfAddrmsg)
			if a.Find(unix.IFA_LOCAL) {
				got = append(got, a.Addr().As4())
			}
			return a.Err()
		})
		if tt.changed >= tt.attempts {
			if !errors.Is(err, nldump.ErrInterrupted) || begun != tt.attempts || !s.Idle() {
				t.Errorf("after %d attempts: %v, idle %v", begun, err, s.Idle())
			}
			continue
		}
		if err != nil || begun != tt.changed+1 {
			t.Errorf("after %d attempts: %v", begun, err)
		}
		slices.SortFunc(got, func(a, b [4]byte) int { return slices.Compare(a[:], b[:]) })
		if n := len(slices.Compact(got)); n != added || len(got) != added {
			t.Errorf("%d addresses, %d of them different; want %d", len(got), n, added)
		}
		if pages := s.Stats().Pages; pages < 5 {
			t.Errorf("%d pages only: a change would not be seen", pages)
		}
	}
}
