// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/mdlayher/genetlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/sockets"
	"bulkdump/client/nldump"
)

// When a client opens, keeps and closes sockets.

func TestSocketIsUsedAgain(t *testing.T) {
	k := &scriptedKernel{}
	c := dialFake(t, k, []script.Step{script.Page(done()), script.Page(entry(0, 1), done())})
	for range 2 {
		if _, err := ids(t.Context(), c, DumpOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.sockets) != 1 || len(k.sockets[0].Sent()) != 2 {
		t.Errorf("%d sockets", len(k.sockets))
	}
}

// TestSocketPerBufferSize shows that no socket is read with a smaller buffer
// than before, because its pages would not fit.
func TestSocketPerBufferSize(t *testing.T) {
	k := &scriptedKernel{}
	one := []script.Step{script.Page(done()), script.Page(done())}
	c := dialFake(t, k, one, one)
	for _, size := range []int{0, nldump.MinBufferSize, nldump.DefaultBufferSize, nldump.MinBufferSize} {
		if _, err := ids(t.Context(), c, DumpOptions{BufferSize: size}); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.sockets) != 2 {
		t.Errorf("%d sockets, want 2", len(k.sockets))
	}
}

func TestFewSocketsAreKept(t *testing.T) {
	k := &scriptedKernel{}
	one := []script.Step{script.Page(entry(0, 1), done())}
	c := dialFake(t, k, one, one, one, one, one, one)
	var nest func(int)
	nest = func(n int) {
		for range c.Records(t.Context(), DumpOptions{}) {
			if n > 1 {
				nest(n - 1)
			}
		}
	}
	nest(idleMax + 2)
	closed := 0
	for _, s := range k.sockets {
		if s.Closed() {
			closed++
		}
	}
	if len(k.sockets) != idleMax+2 || closed != 2 {
		t.Errorf("%d sockets, %d closed", len(k.sockets), closed)
	}
}

func TestBreakClosesSocket(t *testing.T) {
	k := &scriptedKernel{}
	c := dialFake(t, k, []script.Step{script.Page(entry(0, 1)), script.Page(done())}, []script.Step{script.Page(entry(0, 2), done())})
	for range c.Dump(t.Context(), DumpOptions{}) {
		break
	}
	if !k.sockets[0].Closed() {
		t.Error("the socket of the abandoned dump is open")
	}
	if got, err := ids(t.Context(), c, DumpOptions{}); err != nil || len(got) != 1 {
		t.Errorf("the next dump: %v, %v", got, err)
	}
}

func TestPanicClosesSocket(t *testing.T) {
	k := &scriptedKernel{}
	c := dialFake(t, k, []script.Step{script.Page(entry(0, 1)), script.Page(done())})
	func() {
		defer func() { _ = recover() }()
		for range c.Records(t.Context(), DumpOptions{}) {
			panic("in the loop")
		}
	}()
	if !k.sockets[0].Closed() || len(c.open) != 0 {
		t.Error("the socket is open")
	}
}

func TestCancelClosesSocket(t *testing.T) {
	k := &scriptedKernel{}
	c := dialFake(t, k, []script.Step{script.Page(entry(0, 1)), {Wait: true}}, []script.Step{script.Page(done())})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := 0
	var last error
	for _, err := range c.Records(ctx, DumpOptions{}) {
		if err != nil {
			last = err
			continue
		}
		got++
		go func() {
			<-k.sockets[0].Waiting
			cancel()
		}()
	}
	if got != 1 || !errors.Is(last, context.Canceled) || !k.sockets[0].Closed() {
		t.Errorf("%d records, %v, closed %v", got, last, k.sockets[0].Closed())
	}
	if _, err := ids(t.Context(), c, DumpOptions{}); err != nil {
		t.Errorf("the next dump: %v", err)
	}
}

func TestCloseEndsDumps(t *testing.T) {
	k := &scriptedKernel{dialed: make(chan *script.Socket, 1)}
	c := dialFake(t, k, []script.Step{{Wait: true}})
	ran := make(chan error)
	go func() {
		_, err := ids(context.Background(), c, DumpOptions{})
		ran <- err
	}()
	<-(<-k.dialed).Waiting
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ran; !errors.Is(err, ErrClosed) {
		t.Errorf("the dump: %v, want ErrClosed", err)
	}
	if _, err := ids(t.Context(), c, DumpOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("a dump after Close: %v", err)
	}
	if _, err := c.Table(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("a request after Close: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

// TestCloseInLoop closes twice while the dump's stream is in use.
func TestCloseInLoop(t *testing.T) {
	c := dialFake(t, &scriptedKernel{}, []script.Step{script.Page(entry(0, 1)), script.Page(done())})
	n := 0
	for _, err := range c.Records(t.Context(), DumpOptions{}) {
		if n++; n == 1 {
			if err := errors.Join(err, c.Close(), c.Close()); err != nil {
				t.Error(err)
			}
		} else if !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
	}
	if n != 2 {
		t.Errorf("%d iterations, want 2", n)
	}
}

// A socket that is being opened while the client closes does not stay open.
func TestCloseWhileASocketOpens(t *testing.T) {
	k := &scriptedKernel{}
	c := dialFake(t, k, []script.Step{script.Page(done())})
	open := c.sockets.Dump
	c.sockets.Dump = func(cfg nldump.Config) (*nldump.Stream, error) {
		s, err := open(cfg)
		return s, errors.Join(err, c.Close())
	}
	if _, err := ids(t.Context(), c, DumpOptions{}); !errors.Is(err, ErrClosed) || !k.sockets[0].Closed() {
		t.Errorf("%v, want ErrClosed; socket closed: %v", err, k.sockets[0].Closed())
	}
}

func TestNoFamily(t *testing.T) {
	k := &scriptedKernel{}
	if _, err := dial(sockets.Dialer{Requests: k.dialRequests, Dump: k.dialDump}); !errors.Is(err, ErrNoFamily) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNoFamily", err)
	}
	if _, err := dial(sockets.Dialer{Requests: func() (*genetlink.Conn, error) { return nil, unix.EPROTONOSUPPORT }}); !errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Errorf("no sockets: %v", err)
	}
}

func TestDialKernel(t *testing.T) {
	c, err := Dial(Config{})
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		t.Skipf("no generic netlink here: %v", err)
	}
	if err == nil {
		defer c.Close()
		if _, err := c.Table(t.Context()); err != nil {
			t.Error(err)
		}
		t.Skip("the module is loaded; the other half of this test is without")
	}
	if !errors.Is(err, ErrNoFamily) {
		t.Errorf("got %v, want ErrNoFamily", err)
	}
}
