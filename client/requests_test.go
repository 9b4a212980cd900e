// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"runtime"
	"strings"
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

func ptr[T any](v T) *T { return &v }

// TestRequests compares each request with bytes written by hand, and each
// result with the reply.
func TestRequests(t *testing.T) {
	needLittleEndian(t)
	changed := [][]byte{script.U32(uapi.AttrEntryID, 1), script.U64(uapi.AttrEntryGeneration, 77)}
	for _, tt := range []struct {
		name string
		call func(context.Context, *Client) (any, error)
		cmd  uint8
		want []byte
		rep  [][]byte
		res  any
	}{
		{"Get", func(ctx context.Context, c *Client) (any, error) { return c.Get(ctx, 0x04030201) },
			uapi.CmdEntryGet, []byte{8, 0, 1, 0, 1, 2, 3, 4}, [][]byte{wholeEntry}, wholeEntryIs},
		{"GetByName", func(ctx context.Context, c *Client) (any, error) { return c.GetByName(ctx, "ab") },
			uapi.CmdEntryGet, []byte{7, 0, 2, 0, 'a', 'b', 0, 0}, [][]byte{wholeEntry}, wholeEntryIs},
		{"New", func(ctx context.Context, c *Client) (any, error) {
			return c.New(ctx, Entry{ID: 1, Name: "abc", Flags: 2, Value: 3, Payload: []byte{4}})
		}, uapi.CmdEntryNew, []byte{
			8, 0, 1, 0, 1, 0, 0, 0,
			8, 0, 2, 0, 'a', 'b', 'c', 0,
			8, 0, 3, 0, 2, 0, 0, 0,
			8, 0, 4, 0, 3, 0, 0, 0, // a value below 1<<32 takes 4 bytes
			5, 0, 5, 0, 4, 0, 0, 0,
		}, changed, uint64(77)},
		{"New, large value, no payload", func(ctx context.Context, c *Client) (any, error) {
			return c.New(ctx, Entry{ID: 1, Name: "a", Value: 1 << 32})
		}, uapi.CmdEntryNew, []byte{
			8, 0, 1, 0, 1, 0, 0, 0,
			6, 0, 2, 0, 'a', 0, 0, 0,
			8, 0, 3, 0, 0, 0, 0, 0,
			12, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0,
		}, changed, uint64(77)},
		{"Set nothing", func(ctx context.Context, c *Client) (any, error) { return c.Set(ctx, Change{ID: 1}) },
			uapi.CmdEntrySet, []byte{8, 0, 1, 0, 1, 0, 0, 0}, changed, uint64(77)},
		{"Set all", func(ctx context.Context, c *Client) (any, error) {
			return c.Set(ctx, Change{ID: 1, Name: ptr("a"), Flags: ptr(uint32(0)), Value: ptr(uint64(9)), Payload: []byte{}, Create: true})
		}, uapi.CmdEntrySet, []byte{
			8, 0, 1, 0, 1, 0, 0, 0,
			6, 0, 2, 0, 'a', 0, 0, 0,
			8, 0, 3, 0, 0, 0, 0, 0,
			8, 0, 4, 0, 9, 0, 0, 0,
			4, 0, 5, 0, // empties the payload
			4, 0, 9, 0, // create
		}, changed, uint64(77)},
		{"Delete", func(ctx context.Context, c *Client) (any, error) { return c.Delete(ctx, 1) },
			uapi.CmdEntryDel, []byte{8, 0, 1, 0, 1, 0, 0, 0}, changed, uint64(77)},
		{"Fill", func(ctx context.Context, c *Client) (any, error) { return c.Fill(ctx, FillOptions{Count: 5}) },
			uapi.CmdTableFill, []byte{8, 0, 1, 0, 5, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 0, 8, 0, 5, 0, 0, 0, 0, 0},
			[][]byte{script.U32(uapi.AttrFillCount, 5), script.U32(uapi.AttrFillGeneration, 6), script.U64(uapi.AttrFillChecksum, 1<<63)},
			Filled{Count: 5, Generation: 6, Checksum: 1 << 63}},
		{"Fill, all options", func(ctx context.Context, c *Client) (any, error) {
			return c.Fill(ctx, FillOptions{Count: 1, Seed: 1 << 32, IDStart: 3, IDStride: 4, PayloadMin: 5, PayloadMax: 6})
		}, uapi.CmdTableFill, []byte{
			8, 0, 1, 0, 1, 0, 0, 0,
			12, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0,
			8, 0, 3, 0, 3, 0, 0, 0,
			8, 0, 4, 0, 4, 0, 0, 0,
			8, 0, 5, 0, 5, 0, 0, 0,
			8, 0, 6, 0, 6, 0, 0, 0,
		}, nil, Filled{}},
		{"Flush", func(ctx context.Context, c *Client) (any, error) { return c.Flush(ctx) },
			uapi.CmdTableFlush, nil, [][]byte{script.U32(uapi.AttrTableCount, 8), script.U32(uapi.AttrTableGeneration, 9)}, Flushed{Count: 8, Generation: 9}},
		{"Table", func(ctx context.Context, c *Client) (any, error) { return c.Table(ctx) },
			uapi.CmdTableGet, nil, [][]byte{script.U32(uapi.AttrTableCount, 8), script.U32(uapi.AttrTablePages, 9)}, Table{Count: 8, Pages: 9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got genetlink.Message
			c := dialFake(t, &scriptedKernel{answer: func(m genetlink.Message, n netlink.Message) ([]genetlink.Message, error) {
				if n.Header.Flags != netlink.Request {
					t.Errorf("flags %v, want a plain request", n.Header.Flags)
				}
				got = m
				return reply(tt.cmd, tt.rep...), nil
			}})
			res, err := tt.call(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if got.Header.Command != tt.cmd || got.Header.Version != 1 || !bytes.Equal(got.Data, tt.want) {
				t.Errorf("command %d version %d\ngot  % x\nwant % x", got.Header.Command, got.Header.Version, got.Data, tt.want)
			}
			if !reflect.DeepEqual(res, tt.res) {
				t.Errorf("got  %+v\nwant %+v", res, tt.res)
			}
		})
	}
}

func TestRequestsRefusedByKernel(t *testing.T) {
	for errno, is := range map[unix.Errno]error{unix.ENOENT: os.ErrNotExist, unix.EEXIST: os.ErrExist, unix.EPERM: os.ErrPermission, unix.ENOSPC: unix.ENOSPC} {
		k := &scriptedKernel{answer: func(genetlink.Message, netlink.Message) ([]genetlink.Message, error) {
			return nil, genltest.Error(int(errno))
		}}
		c := dialFake(t, k)
		_, err := c.Delete(t.Context(), 1)
		var e *Error
		if !errors.Is(err, is) || !errors.Is(err, errno) || !errors.As(err, &e) || e.Op != "entry-del" {
			t.Errorf("%v: got %v", errno, err)
		}
		if k.requests != 1 {
			t.Errorf("%v: %d sockets; a refusal does not spoil the socket", errno, k.requests)
		}
	}
}

func TestBadReplies(t *testing.T) {
	good := script.U32(uapi.AttrEntryGeneration, 1)
	for name, answer := range map[string][]genetlink.Message{
		"two":             append(reply(uapi.CmdEntryDel, good), reply(uapi.CmdEntryDel, good)...),
		"another command": reply(uapi.CmdEntryNew, good),
		"no generation":   reply(uapi.CmdEntryDel, script.U32(uapi.AttrEntryID, 1)),
		"generation 0":    reply(uapi.CmdEntryDel, script.U32(uapi.AttrEntryGeneration, 0)),
		"malformed":       reply(uapi.CmdEntryDel, good, []byte{1, 2, 3, 4}),
	} {
		c := dialFake(t, &scriptedKernel{answer: func(genetlink.Message, netlink.Message) ([]genetlink.Message, error) { return answer, nil }})
		if _, err := c.Delete(t.Context(), 1); !errors.Is(err, ErrBadReply) {
			t.Errorf("%s: error %v, want ErrBadReply", name, err)
		}
	}
	c := dialFake(t, &scriptedKernel{answer: func(genetlink.Message, netlink.Message) ([]genetlink.Message, error) {
		return reply(uapi.CmdEntryGet), nil
	}})
	if _, err := c.Get(t.Context(), 1); !errors.Is(err, ErrBadReply) {
		t.Errorf("Get: error %v, want ErrBadReply", err)
	}
}

// TestBadRequests checks requests that cannot be encoded.
func TestBadRequests(t *testing.T) {
	c := dialFake(t, &scriptedKernel{answer: func(genetlink.Message, netlink.Message) ([]genetlink.Message, error) {
		t.Error("a request was sent")
		return nil, unix.EINVAL
	}})
	if _, err := c.GetByName(t.Context(), "a\x00b"); !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "NUL") {
		t.Errorf("a name with NUL: %v", err)
	}
	if _, err := c.New(t.Context(), Entry{Payload: make([]byte, 70000)}); err == nil {
		t.Error("a payload of 70000 bytes was encoded")
	}
}

// TestModuleLoadedAnew changes the family's number while the client is open.
func TestModuleLoadedAnew(t *testing.T) {
	k := &scriptedKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
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

// The family itself may return ENOENT, with a message or at the end of a dump.
// The client must not check then whether the family still exists.
func TestOwnENOENT(t *testing.T) {
	why := script.Text(unix.NLMSGERR_ATTR_MSG, "why")
	const tlvs, capped = 0x200, 0x100 // NLM_F_ACK_TLVS, NLM_F_CAPPED
	k := &scriptedKernel{}
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

// After a failed read, a late reply may come, so the socket must not be used
// again.
func TestRequestInDoubt(t *testing.T) {
	fail := true
	k := &scriptedKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
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
		k := &scriptedKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
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
			synctest.Wait() // until it waits for the reply or for its turn
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
	k := &scriptedKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
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

// A request that takes the kernel an hour blocks nothing else: not Close, not a
// request whose context is done, and not the next request, which gets a socket
// of its own.
func TestRequestInTheKernelHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = time.Hour
		k := &scriptedKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
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

// If the context cannot end, the caller's own thread makes the system call, and
// Close waits for it.
func TestRequestOfACallerWhoseThreadMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = time.Hour
		var asked int
		k := &scriptedKernel{answer: func(m genetlink.Message, _ netlink.Message) ([]genetlink.Message, error) {
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

// TestKernelRequestCancelled waits for a reply that never comes, on a real
// socket: the kernel does not answer NLMSG_NOOP (af_netlink.c:netlink_rcv_skb).
func TestKernelRequestCancelled(t *testing.T) {
	conns := 0
	c := &Client{turn: make(chan struct{}, 1), ended: make(chan struct{})}
	c.sockets.Requests = func() (*genetlink.Conn, error) {
		conns++
		return genetlink.Dial(&netlink.Config{Strict: true})
	}
	nothing := func(*genetlink.Conn) (none struct{}, err error) { return none, nil }
	if _, err := ask(t.Context(), c, nothing); err != nil {
		t.Skipf("no generic netlink here: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := ask(ctx, c, func(conn *genetlink.Conn) ([]genetlink.Message, error) {
		go cancel()
		return conn.Execute(genetlink.Message{}, unix.NLMSG_NOOP, netlink.Request)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
	// A late reply may still come to the old socket, so there is a new one.
	f, err := ask(t.Context(), c, func(conn *genetlink.Conn) (genetlink.Family, error) {
		return conn.GetFamily("nlctrl")
	})
	if err != nil || f.ID != unix.GENL_ID_CTRL || conns != 2 {
		t.Errorf("the next request: %+v, %v, %d sockets", f, err, conns)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
