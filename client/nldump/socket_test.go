// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// Sockets of the running kernel, opened with a Config.

// The first page fits into the smallest buffer, however large the memory pages are.
func TestGoodSize(t *testing.T) {
	for page, want := range map[int]int{4 << 10: 3776, 8 << 10: 7872, 16 << 10: 7872, 64 << 10: 7872} {
		if got := nldump.GoodSize(page); got != want {
			t.Errorf("memory pages of %d bytes: %d, want %d", page, got, want)
		}
	}
}

func TestConfig(t *testing.T) {
	const family = unix.NETLINK_GENERIC
	for _, cfg := range []nldump.Config{
		{BufferSize: nldump.MinBufferSize - 1}, {BufferSize: -1}, {MaxBufferSize: -1},
		{MaxBufferSize: nldump.DefaultBufferSize - 1}, {ReceiveBuffer: -1}, {ReceiveBuffer: math.MaxInt32},
		{StallTimeout: -1}, {Abandon: -1}, {Abandon: 3}, {NetNS: 5, NetNSPath: "/proc/self/ns/net"},
	} {
		if _, err := nldump.New(script.New(), cfg); err == nil {
			t.Errorf("New took %+v", cfg)
		}
		if _, err := nldump.Dial(family, cfg); err == nil {
			t.Errorf("Dial took %+v", cfg)
		}
		if c, err := netlink.Dial(family, nil); err == nil {
			if _, err := nldump.Open(c, cfg); err == nil {
				t.Errorf("Open took %+v", cfg)
			}
			_ = c.Close()
		}
	}
	if _, err := nldump.New(script.New(), nldump.Config{Abandon: nldump.AbandonClose}); err == nil {
		t.Error("New took AbandonClose")
	}
	for cfg, want := range map[nldump.Config]nldump.Config{
		{}:                    {BufferSize: 64 << 10, MaxBufferSize: 1 << 20, RepeatLimit: 1 << 20},
		{BufferSize: 2 << 20}: {BufferSize: 2 << 20, MaxBufferSize: 2 << 20, RepeatLimit: 1 << 20},
		{BufferSize: 8 << 10, MaxBufferSize: 8 << 10, RepeatLimit: 1}: {BufferSize: 8 << 10, MaxBufferSize: 8 << 10, RepeatLimit: 1},
		{RepeatLimit: -1}: {BufferSize: 64 << 10, MaxBufferSize: 1 << 20, RepeatLimit: -1},
	} {
		if s, _ := script.Stream(cfg); s.Config() != want {
			t.Errorf("defaults of %+v: %+v", cfg, s.Config())
		}
	}
}

func TestKernelNoFamily(t *testing.T) {
	if _, err := nldump.Dial(99, nldump.Config{}); !errors.Is(err, unix.EPROTONOSUPPORT) && !errors.Is(err, unix.EINVAL) {
		t.Errorf("got %v", err)
	}
}

// receiveBuffer returns a socket's receive buffer, which the kernel counts as
// twice the requested size.
func receiveBuffer(t *testing.T, want int) (got int) {
	t.Helper()
	c, err := netlink.Dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		t.Skipf("no netlink socket here: %v", err)
	}
	sock, err := nldump.Open(c, nldump.Config{ReceiveBuffer: want})
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func rmemMax(t *testing.T) (n int) {
	b, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err == nil {
		_, err = fmt.Sscan(string(b), &n)
	}
	if err != nil {
		t.Skipf("net.core.rmem_max is not told here: %v", err)
	}
	return n
}

func TestKernelReceiveBuffer(t *testing.T) {
	limit := rmemMax(t)
	if got := receiveBuffer(t, limit); got != 2*limit {
		t.Errorf("%d bytes, want twice %d", got, limit)
	}
	if got := receiveBuffer(t, 1); got < 2 {
		t.Errorf("%d bytes, want the kernel's least", got)
	}
	if os.Geteuid() == 0 && !inUserNamespace() {
		if got := receiveBuffer(t, 2*limit); got != 4*limit {
			t.Errorf("forced: %d bytes, want twice %d", got, 2*limit)
		}
	}
	withoutRights(t)
	_, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{ReceiveBuffer: 2 * limit})
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), fmt.Sprintf("gives %d", limit)) {
		t.Errorf("got %v, want a refusal that says how much there is", err)
	}
}

// inUserNamespace reports whether root here is not root of the machine.
func inUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err != nil || len(strings.Fields(string(b))) != 3 || strings.Fields(string(b))[2] != "4294967295"
}

// withoutRights drops the thread's capabilities until the end of the test.
func withoutRights(t *testing.T) {
	t.Helper()
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	runtime.LockOSThread()
	if err := unix.Capget(&h, &had[0]); err != nil {
		t.Fatal(err)
	}
	none := had
	none[0].Effective, none[1].Effective = 0, 0
	if err := unix.Capset(&h, &none[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Capset(&h, &had[0]); err != nil {
			t.Error(err) // the thread stays locked, and ends with the test
			return
		}
		runtime.UnlockOSThread()
	})
}

// otherNetNS returns the path of a network namespace that lives as long as the
// test.
func otherNetNS(t *testing.T) string {
	t.Helper()
	paths, end := make(chan string), make(chan struct{})
	failed := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // and never unlocks: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			failed <- err
			return
		}
		paths <- fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		<-end
	}()
	select {
	case err := <-failed:
		t.Skipf("no network namespace can be made here: %v", err)
	case path := <-paths:
		t.Cleanup(func() { close(end); <-ended })
		return path
	}
	return ""
}

// linkNames returns the names of the links in the stream's namespace.
func linkNames(t *testing.T, s *nldump.Stream) (names []string) {
	t.Helper()
	req := nldump.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)}
	for m, err := range s.Records(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		if a := m.Attrs(unix.SizeofIfInfomsg); a.Find(unix.IFLA_IFNAME) {
			names = append(names, string(a.Text()))
		}
	}
	return names
}

// TestKernelNetNS dumps links in a namespace that has only lo, by path and by
// file descriptor.
func TestKernelNetNS(t *testing.T) {
	path := otherNetNS(t)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, cfg := range []nldump.Config{{NetNSPath: path}, {NetNS: int(f.Fd())}} {
		s := dialKernel(t, unix.NETLINK_ROUTE, cfg)
		if names := linkNames(t, s); !slices.Equal(names, []string{"lo"}) {
			t.Errorf("links %q, want lo alone", names)
		}
		if own := linkNames(t, dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})); len(own) < 2 {
			t.Skipf("the caller's namespace has no more either: %q", own)
		}
	}
}

// The file of the namespace is closed by Dial, and that of the socket by Close.
func TestKernelNetNSLeavesNoFile(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close them, too
	files := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	dial := func() {
		s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{NetNSPath: "/proc/self/ns/net"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	dial() // what the runtime opens once
	before := files()
	for range 5 {
		dial()
	}
	if after := files(); after != before {
		t.Errorf("%d files before, %d after", before, after)
	}
}

func TestKernelOpenClosed(t *testing.T) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := nldump.Open(c, nldump.Config{}); err == nil || !strings.Contains(err.Error(), "socket option") {
		t.Errorf("opened from a closed connection: %v", err)
	}
}

func TestKernelNoNetNS(t *testing.T) {
	if _, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{NetNSPath: "/no/such/ns"}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/no/such/ns") {
		t.Errorf("no such file: %v", err)
	}
	if _, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{NetNSPath: "/proc/self/status"}); err == nil || !strings.Contains(err.Error(), "/proc/self/status") {
		t.Errorf("no namespace: %v", err)
	}
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{NetNS: int(f.Fd())}); err == nil || !strings.Contains(err.Error(), "descriptor") {
		t.Errorf("no namespace: %v", err)
	}
}

// rtnetlink accepts a header that a strict dump refuses (TestKernelExtack).
func TestKernelNoStrictCheck(t *testing.T) {
	s := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{NoStrictCheck: true})
	req := nldump.Message{Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)}
	req.Data[2] = 1 // ifi_type
	for _, err := range s.Records(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.Stats().Records == 0 {
		t.Error("no link, not even lo")
	}
}

// After a dump of the kernel is left, the next one needs no drain.
func TestKernelAbandonCloses(t *testing.T) {
	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{BufferSize: nldump.MinBufferSize, Abandon: nldump.AbandonClose})
	for range 3 {
		n := 0
		for _, err := range s.Records(t.Context(), policy("ethtool")) {
			if err != nil {
				t.Skipf("no policy of ethtool here: %v", err)
			}
			n++
			break
		}
		if !s.Idle() || n != 1 {
			t.Fatalf("idle %v after %d records", s.Idle(), n)
		}
		if names := familyNames(t, s); !slices.Contains(names, "nlctrl") {
			t.Errorf("families %q", names)
		}
	}
}
