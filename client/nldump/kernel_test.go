// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// These tests dump tables of the running kernel that need no module and no
// rights. They are skipped if a socket cannot be opened.

func dialKernel(t testing.TB, family int, cfg nldump.Config) *nldump.Stream {
	t.Helper()
	s, err := nldump.Dial(family, cfg)
	if err != nil {
		t.Skipf("no netlink socket of family %d here: %v", family, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// families is a request for all generic netlink families.
func families() nldump.Message {
	return nldump.Message{
		Type: unix.GENL_ID_CTRL,
		Data: []byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0},
	}
}

// familyNames dumps the families and fails the test on any error.
func familyNames(t testing.TB, s *nldump.Stream) []string {
	t.Helper()
	var names []string
	for m, err := range s.Records(t.Context(), families()) {
		if err != nil {
			t.Fatal(err)
		}
		a := nldump.Parse(m.Data[4:])
		for a.Next() {
			if a.Type() == unix.CTRL_ATTR_FAMILY_NAME {
				names = append(names, string(a.Text()))
			}
		}
		if a.Err() != nil {
			t.Fatal(a.Err())
		}
	}
	return names
}

func TestKernelFamilies(t *testing.T) {
	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{})
	names := familyNames(t, s)
	if !slices.Contains(names, "nlctrl") {
		t.Errorf("families %q, want nlctrl among them", names)
	}
	st := s.Stats()
	if int(st.Records) != len(names) || st.Pages == 0 || st.Reads < st.Pages || st.Bytes == 0 || st.LargestPage > int(st.Bytes) {
		t.Errorf("stats %+v for %d records", st, len(names))
	}
	if !s.Idle() {
		t.Error("stream is not idle after a whole dump")
	}
	if again := familyNames(t, s); !slices.Equal(again, names) {
		t.Errorf("second dump on the same socket: %q, want %q", again, names)
	}
}

// policy returns a request for the policies of a family, which are many
// records.
func policy(family string) nldump.Message {
	const getPolicy = 10 // CTRL_CMD_GETPOLICY
	return nldump.Message{
		Type: unix.GENL_ID_CTRL,
		Data: append([]byte{getPolicy, 1, 0, 0}, script.Text(unix.CTRL_ATTR_FAMILY_NAME, family)...),
	}
}

// The kernel keeps an abandoned dump, and Drain frees the socket.
func TestKernelBreak(t *testing.T) {
	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{BufferSize: nldump.MinBufferSize})
	for _, err := range s.Records(t.Context(), policy("ethtool")) {
		if err != nil {
			t.Skipf("no policy of ethtool here: %v", err)
		}
	}
	if s.Stats().Pages < 3 {
		t.Skip("the policy of ethtool is too small")
	}
	for range s.Records(t.Context(), policy("ethtool")) {
		break
	}
	if s.Idle() {
		t.Fatal("stream is idle in the middle of a dump")
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names := familyNames(t, s); !slices.Contains(names, "nlctrl") {
		t.Errorf("after Drain: %q", names)
	}
}

// TestKernelRefuses asks the controller for the policy of a family that does
// not exist.
func TestKernelRefuses(t *testing.T) {
	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{})
	n := 0
	for _, err := range s.Records(t.Context(), policy("no such")) {
		n++
		var k *nldump.KernelError
		if !errors.As(err, &k) || !errors.Is(err, os.ErrNotExist) || k.Done {
			t.Errorf("got %v, want ENOENT as a refusal", err)
		}
	}
	if n != 1 {
		t.Errorf("%d errors, want 1", n)
	}
	if !s.Idle() {
		t.Error("stream is not idle after a refusal")
	}
	familyNames(t, s)
}

// TestKernelExtack makes rtnetlink refuse a strict dump, with its reason.
func TestKernelExtack(t *testing.T) {
	s := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})
	req := nldump.Message{
		Type: unix.RTM_GETLINK,
		Data: make([]byte, unix.SizeofIfInfomsg),
	}
	req.Data[2] = 1 // ifi_type, which a strict dump does not allow
	for _, err := range s.Records(t.Context(), req) {
		var k *nldump.KernelError
		if !errors.As(err, &k) || k.Errno != unix.EINVAL || k.Message == "" {
			t.Errorf("got %v, want EINVAL with a message", err)
		}
	}
}

func TestKernelRoute(t *testing.T) {
	for name, req := range map[string]nldump.Message{
		"links":     {Type: unix.RTM_GETLINK, Data: make([]byte, unix.SizeofIfInfomsg)},
		"addresses": {Type: unix.RTM_GETADDR, Data: make([]byte, unix.SizeofIfAddrmsg)},
		"routes":    {Type: unix.RTM_GETROUTE, Data: make([]byte, unix.SizeofRtMsg)},
	} {
		t.Run(name, func(t *testing.T) {
			s := dialKernel(t, unix.NETLINK_ROUTE, nldump.Config{})
			for m, err := range s.Records(t.Context(), req) {
				if err != nil {
					t.Fatal(err)
				}
				if m.Type != req.Type-2 { // RTM_NEWx is RTM_GETx - 2
					t.Errorf("record of type %d", m.Type)
				}
			}
			if name == "links" && s.Stats().Records == 0 {
				t.Error("no link, not even lo")
			}
		})
	}
}

// TestKernelCancel cancels while the stream waits for a datagram that never
// comes, because nothing was requested.
func TestKernelCancel(t *testing.T) {
	c, err := netlink.Dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		t.Skipf("no netlink socket here: %v", err)
	}
	sock, err := nldump.Open(c, nldump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	silent := &silentSocket{Socket: sock, waiting: make(chan struct{})}
	s, err := nldump.New(silent, nldump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-silent.waiting
		cancel()
	}()
	n := 0
	for _, err := range s.Records(ctx, families()) {
		n++
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want Canceled", err)
		}
	}
	if n != 1 || s.Idle() {
		t.Errorf("%d errors, idle %v; want 1, false", n, s.Idle())
	}
}

// TestKernelClose closes the stream while it waits, and then asks again.
func TestKernelClose(t *testing.T) {
	c, err := netlink.Dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		t.Skipf("no netlink socket here: %v", err)
	}
	sock, err := nldump.Open(c, nldump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	silent := &silentSocket{Socket: sock, waiting: make(chan struct{})}
	s, err := nldump.New(silent, nldump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-silent.waiting
		_ = s.Close()
	}()
	if _, err := read(t.Context(), s); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if _, err := sock.Recv(make([]byte, 64)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Recv after Close: %v, want ErrClosed", err)
	}
	if err := sock.SetReadDeadline(time.Time{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("SetReadDeadline after Close: %v, want ErrClosed", err)
	}
	if _, err := sock.Send(families()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Send after Close: %v, want ErrClosed", err)
	}
}

// A silentSocket discards requests, and reports when it is read.
type silentSocket struct {
	nldump.Socket
	waiting chan struct{}
}

func (s *silentSocket) Send(m nldump.Message) (nldump.Message, error) {
	m.Seq, m.PortID = 1, 1
	return m, nil
}

func (s *silentSocket) Recv(b []byte) (nldump.Datagram, error) {
	close(s.waiting)
	return s.Socket.Recv(b)
}

// TestKernelTruncated reads a page with a buffer that holds a header only.
func TestKernelTruncated(t *testing.T) {
	c, err := netlink.Dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		t.Skipf("no netlink socket here: %v", err)
	}
	sock, err := nldump.Open(c, nldump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	req := families()
	req.Flags = unix.NLM_F_REQUEST | unix.NLM_F_DUMP
	if _, err := sock.Send(req); err != nil {
		t.Fatal(err)
	}
	if d, err := sock.Recv(make([]byte, 16)); err != nil || d.Len <= 16 || d.From != 0 || d.Group != 0 {
		t.Errorf("got %+v, %v; want the full length, from the kernel", d, err)
	}
}

// What a deadline returns if the context has not ended.
func TestKernelDeadline(t *testing.T) {
	c, err := netlink.Dial(unix.NETLINK_GENERIC, nil)
	if err != nil {
		t.Skipf("no netlink socket here: %v", err)
	}
	sock, err := nldump.Open(c, nldump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	if err := sock.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := sock.Recv(make([]byte, 64)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want ErrDeadlineExceeded", err)
	}
}
