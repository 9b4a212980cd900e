// SPDX-License-Identifier: BSD-3-Clause

// Package broken shows, in the guest, that each command of kmod/broken has its bug,
// and that the sound ones have none. What dumpcheck makes of it is in
// test/dumpcheck.
package broken

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/observe"
)

// Attributes (kmod/broken/bulkdump_broken.h).
const (
	attrID = iota + 1
	attrValue
	attrName
	attrBlob
	attrList
	attrFrom
	attrFilter
	attrPID
	attrUID
	attrEvents
	attrCount
	attrSecret
	attrAddress
	attrWhere
)

const (
	objects = 4000
	largest = 1<<32 - 2 // key

	small = 4 << 10 // buffer
	large = 32 << 10
)

// commands are the numbers of the header's commands.
var commands = map[string]uint8{}

// family is the family's number.
var family uint16

var inGuest = os.Getenv("BULKDUMP_GUEST") != ""

func TestMain(m *testing.M) {
	if inGuest {
		if err := setUp(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func setUp() error {
	header, err := os.ReadFile("/root/bulkdump_broken.h")
	if err != nil {
		return err
	}
	for i, m := range regexp.MustCompile(`(?m)^\tBROKEN_CMD_(\w+)[ ,]`).FindAllStringSubmatch(string(header), -1) {
		commands[m[1]] = uint8(i + 1)
	}
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{})
	if err != nil {
		return err
	}
	defer s.Close()
	f, err := s.Family(context, "bulkdump_broken")
	family = f.ID
	return err
}

// A tester tests one command.
type tester struct {
	*testing.T
	cmd uint8
}

// setObjects makes a table of n objects.
func setObjects(t testing.TB, n int) {
	t.Helper()
	if !inGuest {
		t.Skip("this runs in a guest only: make vm-broken")
	}
	if err := os.WriteFile("/sys/module/bulkdump_broken/parameters/objects", []byte(strconv.Itoa(n)), 0); err != nil {
		t.Fatal(err)
	}
}

// is returns a tester of another command.
func (t tester) is(name string) tester {
	t.Helper()
	cmd, ok := commands[name]
	if !ok {
		t.Fatalf("no command %s", name)
	}
	return tester{t.T, cmd}
}

func attr(typ uint16, data []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
	b = append(binary.NativeEndian.AppendUint16(b, typ), data...)
	return append(b, make([]byte, -len(b)&3)...)
}

func u32(typ uint16, n uint32) []byte { return attr(typ, binary.NativeEndian.AppendUint32(nil, n)) }

func (t tester) request(attrs ...[]byte) nldump.Message {
	return nldump.Message{Type: family, Data: slices.Concat(append([][]byte{{t.cmd, 1, 0, 0}}, attrs...)...)}
}

func (t tester) dial(buffer int) *observe.Socket {
	t.Helper()
	s, err := observe.Dial(unix.NETLINK_GENERIC, buffer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var limits = observe.Limits{Bytes: 16 << 20, Pages: 5000}

// any takes a dump, whatever comes.
func (t tester) any(buffer int, attrs ...[]byte) *observe.Dump {
	t.Helper()
	s := t.dial(buffer)
	defer s.Close()
	return s.Dump(t.request(attrs...), limits)
}

// dump takes a dump that must end well.
func (t tester) dump(buffer int, attrs ...[]byte) *observe.Dump {
	t.Helper()
	return t.whole(t.any(buffer, attrs...))
}

func (t tester) whole(d *observe.Dump) *observe.Dump {
	t.Helper()
	if !d.Whole() {
		t.Fatalf("the dump ends with %s, %v %q %v after %d records", d.End, d.Errno, d.Text, d.Err, len(d.Records()))
	}
	return d
}

// during takes a dump with small pages, and changes something after a page.
func (t tester) during(page int, change func(d *observe.Dump)) *observe.Dump {
	t.Helper()
	s := t.dial(small)
	defer s.Close()
	l := limits
	l.Between = observe.LeaveAfter(page)
	d := s.Dump(t.request(), l)
	if d.End != observe.Left {
		t.Fatalf("the dump is over after %d pages: %s", len(d.Pages), d.End)
	}
	change(d)
	d.Resume(s, limits)
	return t.whole(d)
}

// do sends a request that is none for a dump, and expects an errno.
func (t tester) do(want syscall.Errno, attrs ...[]byte) *observe.Dump {
	t.Helper()
	s := t.dial(small)
	defer s.Close()
	d := s.Do(t.request(attrs...), 10*time.Second)
	if got := d.Errno; got != want || d.Err != nil {
		t.Fatalf("a do of command %d: %v %q %v, want errno %d", t.cmd, got, d.Text, d.Err, want)
	}
	return d
}

// add makes an object, or changes its value.
func (t tester) add(id uint32) {
	t.Helper()
	t.is("NEW").do(0, u32(attrID, id), u32(attrValue, uint32(time.Now().UnixNano())))
}

func (t tester) remove(id uint32) {
	t.Helper()
	t.is("DEL").do(0, u32(attrID, id))
}

func attrs(m observe.Message) nldump.Attrs { return m.Attrs(unix.GENL_HDRLEN) }

// value is an attribute of a record; nil if it has none.
func value(m observe.Message, typ uint16) []byte {
	a := attrs(m)
	if !a.Find(typ) {
		return nil
	}
	return a.Bytes()
}

func number(m observe.Message, typ uint16) uint32 {
	b := value(m, typ)
	if len(b) != 4 {
		return 1<<32 - 1
	}
	return binary.NativeEndian.Uint32(b)
}

// ids are those of the records, in order.
func ids(d *observe.Dump) (ids []uint32) {
	for _, m := range d.Records() {
		ids = append(ids, number(m, attrID))
	}
	return ids
}

// all are those that there should be.
func all() (ids []uint32) {
	for id := range uint32(objects - 1) {
		ids = append(ids, 10*id)
	}
	return append(ids, largest)
}

// compare counts the ids that are missing, and those that come too often.
func compare(got []uint32) (missing, more int) {
	count := map[uint32]int{}
	for _, id := range got {
		count[id]++
	}
	for _, id := range all() {
		if count[id] == 0 {
			missing++
		}
		count[id]--
	}
	for _, n := range count {
		more += max(n, 0)
	}
	return missing, more
}

// apart runs on a thread of its own, which ends after it. Fatal ends the test
// there, too.
func (t tester) apart(enter func() error, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := enter(); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
	if t.Failed() {
		t.FailNow()
	}
}

// inNamespace runs in a network namespace that is new.
func (t tester) inNamespace(f func()) {
	t.Helper()
	t.apart(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, f)
}

// asNobody runs as a user that has no rights.
func (t tester) asNobody(f func()) {
	t.Helper()
	const nobody = 65534
	t.apart(func() error {
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			return errno
		}
		return nil
	}, f)
}

// leave abandons dumps after their first page.
func (t tester) leave(n int) {
	t.Helper()
	l := limits
	l.Between = observe.LeaveAfter(1)
	for range n {
		s := t.dial(small)
		if d := s.Dump(t.request(), l); d.End != observe.Left {
			t.Fatalf("the dump is over: %s %v", d.End, d.Errno)
		}
		s.Close()
	}
}

func (t tester) references() int {
	t.Helper()
	text, err := os.ReadFile("/sys/module/bulkdump_broken/refcnt")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pages4k are the objects of 4 KiB that the kernel has allocated.
func (t tester) pages4k() int {
	t.Helper()
	// With KASAN, what was freed counts up to here.
	caches, err := filepath.Glob("/sys/kernel/slab/kmalloc-*4k/shrink")
	if err != nil {
		t.Fatal(err)
	}
	for _, cache := range caches {
		if err := os.WriteFile(cache, []byte("1"), 0); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open("/proc/slabinfo")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// Since 6.6 there may be several caches of a size.
		if fields := strings.Fields(lines.Text()); strings.HasPrefix(fields[0], "kmalloc-") && strings.HasSuffix(fields[0], "4k") {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	if sum == 0 {
		t.Fatal(errors.New("no slab of 4 KiB"))
	}
	return sum
}
