// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"bytes"
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

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
			c := dialFake(t, &fakeKernel{answer: func(m genetlink.Message, n netlink.Message) ([]genetlink.Message, error) {
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
		k := &fakeKernel{answer: func(genetlink.Message, netlink.Message) ([]genetlink.Message, error) {
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
		c := dialFake(t, &fakeKernel{answer: func(genetlink.Message, netlink.Message) ([]genetlink.Message, error) { return answer, nil }})
		if _, err := c.Delete(t.Context(), 1); !errors.Is(err, ErrBadReply) {
			t.Errorf("%s: error %v, want ErrBadReply", name, err)
		}
	}
	c := dialFake(t, &fakeKernel{answer: func(genetlink.Message, netlink.Message) ([]genetlink.Message, error) {
		return reply(uapi.CmdEntryGet), nil
	}})
	if _, err := c.Get(t.Context(), 1); !errors.Is(err, ErrBadReply) {
		t.Errorf("Get: error %v, want ErrBadReply", err)
	}
}

// TestBadRequests are those that cannot be put into bytes.
func TestBadRequests(t *testing.T) {
	c := dialFake(t, &fakeKernel{answer: func(genetlink.Message, netlink.Message) ([]genetlink.Message, error) {
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
