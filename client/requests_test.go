// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/genetlink/genltest"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
)

// TestModuleLoadedAnew changes the family's number under the client.
func TestModuleLoadedAnew(t *testing.T) {
	k := &fakeKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
		return reply(m.Header.Command), nil
	}}
	refused := script.Page(script.Message(unix.NLMSG_ERROR, 0, script.Errno(unix.ENOENT)))
	c := dialFake(t, k, []script.Step{refused, script.Page(done()), refused, refused})
	k.family++
	if _, err := c.Table(t.Context()); err != nil {
		t.Errorf("Table with the new number: %v", err)
	}
	k.family++
	if _, err := ids(t.Context(), c, DumpOptions{}); err != nil {
		t.Errorf("Dump with the new number: %v", err)
	}
	if _, err := ids(t.Context(), c, DumpOptions{}); !errors.Is(err, unix.ENOENT) || errors.Is(err, ErrNoFamily) {
		t.Errorf("a bare ENOENT with the same number: %v", err)
	}
	k.family = 0
	if _, err := c.Table(t.Context()); !errors.Is(err, ErrNoFamily) {
		t.Errorf("Table without the module: %v, want ErrNoFamily", err)
	}
	if _, err := ids(t.Context(), c, DumpOptions{}); !errors.Is(err, ErrNoFamily) {
		t.Errorf("Dump without the module: %v, want ErrNoFamily", err)
	}
}

// TestOwnENOENT has the family's own ENOENT, which says why or comes at the
// end of a dump: no reason to look whether the family is still there.
func TestOwnENOENT(t *testing.T) {
	why := script.Text(unix.NLMSGERR_ATTR_MSG, "why")
	const tlvs, capped = 0x200, 0x100 // NLM_F_ACK_TLVS, NLM_F_CAPPED
	k := &fakeKernel{}
	c := dialFake(t, k, []script.Step{
		script.Page(script.Message(unix.NLMSG_ERROR, tlvs|capped, script.Errno(unix.ENOENT), make([]byte, 16), why)),
		script.Page(script.Done(0, unix.ENOENT)),
	})
	k.family = 0
	for range 2 {
		if _, err := ids(t.Context(), c, DumpOptions{}); !errors.Is(err, unix.ENOENT) || errors.Is(err, ErrNoFamily) {
			t.Errorf("got %v, want the family's ENOENT", err)
		}
	}
}

// TestRequestInDoubt lets a read fail, after which a late reply may come: the
// socket must not be used again.
func TestRequestInDoubt(t *testing.T) {
	fail := true
	k := &fakeKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
		if fail {
			return nil, io.ErrUnexpectedEOF
		}
		return reply(m.Header.Command), nil
	}}
	c := dialFake(t, k)
	if _, err := c.Table(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	fail = false
	if _, err := c.Table(t.Context()); err != nil || k.requests != 2 {
		t.Errorf("got %v, %d sockets; want another socket", err, k.requests)
	}
}

// TestRequestWaitsForItsTurn cancels a request while another has the socket.
func TestRequestWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leave := make(chan struct{})
		k := &fakeKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
			<-leave
			return reply(m.Header.Command), nil
		}}
		c := dialFake(t, k)
		request := func(ctx context.Context) <-chan error {
			ran := make(chan error, 1)
			go func() {
				_, err := c.Table(ctx)
				ran <- err
			}()
			synctest.Wait() // it waits for the reply, or for its turn
			return ran
		}
		first := request(context.Background())
		ctx, cancel := context.WithCancel(t.Context())
		second := request(ctx)
		cancel()
		synctest.Wait()
		select {
		case err := <-second:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the second: %v, want Canceled", err)
			}
		default:
			t.Error("the second still waits")
		}
		close(leave)
		if err := <-first; err != nil {
			t.Errorf("the first: %v", err)
		}
	})
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	k := &fakeKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
		if m.Header.Command == uapi.CmdEntryDel {
			return nil, genltest.Error(int(unix.ENOENT))
		}
		return reply(m.Header.Command), nil
	}}
	var scripts [][]script.Step
	for range 8 {
		var s []script.Step
		for range 8 {
			s = append(s, script.Page(entry(0, 1)), script.Page(entry(0, 2), done()))
		}
		scripts = append(scripts, s)
	}
	c := dialFake(t, k, scripts...)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for e, err := range c.Dump(t.Context(), DumpOptions{}) {
				if err != nil {
					t.Error(e, err)
				}
			}
			if _, err := c.Table(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := c.Delete(t.Context(), 1); !errors.Is(err, unix.ENOENT) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// What the kernel is at for an hour holds up nobody: not Close, not a request
// whose context is done, not the next request. It gets a socket of its own.
func TestRequestInTheKernelHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = time.Hour
		k := &fakeKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
			if m.Header.Command == uapi.CmdTableFill {
				time.Sleep(long)
			}
			return reply(m.Header.Command), nil
		}}
		c := dialFake(t, k)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Fill(ctx, FillOptions{Count: 1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a fill within a second: %v, want DeadlineExceeded", err)
		}
		if _, err := c.Table(t.Context()); err != nil || k.requests != 2 {
			t.Errorf("the next request: %v, %d sockets", err, k.requests)
		}
		ended := make(chan error)
		go func() {
			_, err := c.Fill(t.Context(), FillOptions{Count: 1})
			ended <- err
		}()
		waits := make(chan error)
		synctest.Wait()
		go func() {
			_, err := c.Table(t.Context())
			waits <- err
		}()
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for what, err := range map[string]error{"the fill": <-ended, "what waits behind it": <-waits} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", what, err)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v", took)
		}
		time.Sleep(long) // the kernel is done
	})
}

// TestRequestOfACallerWhoseThreadMatters: with a context that cannot end, the
// request is the caller's own system call, and Close waits for it.
func TestRequestOfACallerWhoseThreadMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = time.Hour
		var asked int
		k := &fakeKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
			time.Sleep(long)
			asked++
			return reply(m.Header.Command, script.U64(uapi.AttrTableGeneration, 2)), nil
		}}
		c := dialFake(t, k)
		start := time.Now()
		before := runtime.NumGoroutine()
		ended := make(chan error)
		go func() {
			_, err := c.Flush(context.Background())
			ended <- err
		}()
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n != 1 {
			t.Errorf("%d goroutines for a request, want the caller's alone", n)
		}
		go func() { ended <- c.Close() }()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != long || asked != 1 {
			t.Errorf("it took %v, %d requests", took, asked)
		}
	})
}
