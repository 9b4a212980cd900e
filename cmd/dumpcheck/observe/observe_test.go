// SPDX-License-Identifier: BSD-3-Clause

package observe

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// families dumps the generic families, which each kernel has.
var families = nldump.Message{Type: unix.GENL_ID_CTRL, Data: []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}}

func dialTest(t *testing.T, dial func(protocol, buffer int) (*Socket, error), buffer int) *Socket {
	t.Helper()
	s, err := dial(unix.NETLINK_GENERIC, buffer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A dump is taken whole, with pages of both sizes, and twice on one socket.
func TestDump(t *testing.T) {
	for name, dial := range map[string]func(protocol, buffer int) (*Socket, error){"primed": Dial, "fresh": DialFresh} {
		t.Run(name, func(t *testing.T) {
			s := dialTest(t, dial, 64<<10)
			var records [2]int
			for i := range records {
				d := s.Dump(families, Limits{})
				if !d.Whole() || d.Interrupted() || len(d.After) > 0 {
					t.Fatalf("%s, errno %v, %v; %d datagrams behind it", d.End, d.Errno, d.Err, len(d.After))
				}
				for _, m := range d.Records() {
					if m.Seq != d.Request.Seq || m.PortID != d.Request.PortID {
						t.Fatalf("record %+v answers request %+v", m, d.Request)
					}
					if n := binary.NativeEndian.Uint32(m.Raw); int(n) != len(m.Raw) {
						t.Fatalf("a record of %d bytes says %d", len(m.Raw), n)
					}
				}
				records[i] = len(d.Records())
			}
			if records[0] == 0 || records[0] != records[1] {
				t.Errorf("%d records, and again %d", records[0], records[1])
			}
		})
	}
}

// What the kernel refuses, and what is no dump, is told apart.
func TestEnds(t *testing.T) {
	s := dialTest(t, Dial, 64<<10)
	unknown := families
	unknown.Data = []byte{200, 1, 0, 0}
	if d := s.Dump(unknown, Limits{}); d.End != Refused || d.Errno != unix.EOPNOTSUPP {
		t.Errorf("a command that is none: %s, %v", d.End, d.Errno)
	}
	junk := families
	junk.Data = append(junk.Data[:4:4], 8, 0, 0xff, 0x0f, 0, 0, 0, 0)
	if d := s.Do(junk, time.Second); d.End != Refused || d.Errno != unix.EINVAL {
		t.Errorf("an attribute that is none: %s, %v", d.End, d.Errno)
	}
	one := families
	one.Data = append(one.Data[:4:4], 11, 0, unix.CTRL_ATTR_FAMILY_NAME, 0, 'n', 'l', 'c', 't', 'r', 'l', 0, 0)
	if d := s.Do(one, time.Second); d.End != Acked || len(d.Records()) != 1 {
		t.Errorf("one family: %s, %d records, %v", d.End, len(d.Records()), d.Errno)
	}
	if d := s.Dump(nldump.Message{Type: unix.NLMSG_NOOP}, Limits{Page: time.Second}); d.End != Acked {
		t.Errorf("a message that is no request: %s", d.End)
	}
}

// A reader that is stopped for longer than the wait gets its pages all the same: a wait
// that is over at once is like it. A callback that waits is in kmod/broken (WAITS).
func TestReaderIsStopped(t *testing.T) {
	s := dialTest(t, Dial, 64<<10)
	for range 10 {
		if d := s.Dump(families, Limits{Page: time.Nanosecond}); !d.Whole() {
			t.Fatalf("it ends as %s after %d pages: %v", d.End, len(d.Pages), d.Err)
		}
	}
}

// A dump that was left goes on where it was.
func TestResume(t *testing.T) {
	s := dialTest(t, DialFresh, 4<<10)
	whole := s.Dump(families, Limits{})
	if len(whole.Pages) < 2 {
		t.Skipf("%d pages: this kernel has too few families", len(whole.Pages))
	}
	s = dialTest(t, DialFresh, 4<<10) // the first page is smaller than the others
	d := s.Dump(families, Limits{Between: LeaveAfter(1)})
	if d.End != Left || len(d.Pages) != 1 {
		t.Fatalf("%s after %d pages", d.End, len(d.Pages))
	}
	d.Resume(s, Limits{})
	if !d.Whole() || len(d.Records()) != len(whole.Records()) {
		t.Errorf("%s, with %d records, want %d", d.End, len(d.Records()), len(whole.Records()))
	}
	failed := errors.New("failed")
	if d := s.Dump(families, Limits{Between: func(int) error { return failed }}); d.End != Left || d.Err != failed {
		t.Errorf("%s, %v, want the error of Between", d.End, d.Err)
	}
}

// A request may claim to be shorter than it is.
func TestDumpShort(t *testing.T) {
	s := dialTest(t, Dial, 64<<10)
	if d := s.DumpShort(families, 4, Limits{Page: time.Second}); !d.Whole() {
		t.Errorf("with all of its header: %s, %v", d.End, d.Errno)
	}
	if d := s.DumpShort(families, 1, Limits{Page: time.Second}); d.End != Refused || d.Errno != unix.EINVAL {
		t.Errorf("with 1 byte of it: %s, %v", d.End, d.Errno)
	}
}

// A page that repeats itself is an endless dump, at a cycle of one page or of several.
func TestEndless(t *testing.T) {
	for _, cycle := range []int{1, 3, 400} {
		d := &Dump{End: Running}
		for n := range 3000 {
			m := message(unix.NLMSG_MIN_TYPE, binary.NativeEndian.AppendUint32(nil, uint32(n%cycle)))
			if d.add(m, len(m), 0); d.End != Running {
				break
			}
		}
		if d.End != Endless || d.Cycle != cycle {
			t.Errorf("a cycle of %d pages: %s, cycle %d after %d pages", cycle, d.End, d.Cycle, len(d.Pages))
		}
	}
	d := &Dump{End: Running}
	for n := range 3000 {
		m := message(unix.NLMSG_MIN_TYPE, binary.NativeEndian.AppendUint32(nil, uint32(n/3)))
		d.add(m, len(m), 0)
	}
	if d.End != Running {
		t.Errorf("pages that come three times each: %s", d.End)
	}
}

// Bytes that are no message are kept, and so is what a page has lost.
func TestPage(t *testing.T) {
	m := message(unix.NLMSG_MIN_TYPE, []byte{1, 2, 3, 4})
	p := NewPage(append(m, 1, 2, 3, 4), len(m)+4, 0)
	if len(p.Messages) != 1 || len(p.Rest) != 4 {
		t.Errorf("%d messages, and a rest of %d bytes; want 1 and 4", len(p.Messages), len(p.Rest))
	}
	if p := NewPage(m, 100, 0); p.Len != 100 || len(p.Data) != len(m) {
		t.Errorf("%d of %d bytes; want %d of 100", len(p.Data), p.Len, len(m))
	}
}

// message is one of a page.
func message(typ uint16, data []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(16+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	return append(append(b, make([]byte, 10)...), data...)
}
