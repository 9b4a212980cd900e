// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"errors"
	"os"
	"testing"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/genetlink/genltest"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/fakekernel"
	"bulkdump/client/internal/sockets"
	"bulkdump/client/nldump"
)

// A family that changes while a socket joins it is joined again.
func TestSubscribeWhileLoaded(t *testing.T) {
	k := fakekernel.New()
	c := dialKernel(t, k)
	defer c.Close()
	dialEvents := c.sockets.Events
	dialed := 0
	c.sockets.Events = func(size int, groups ...uint32) (nldump.PollSocket, error) {
		sock, err := dialEvents(size, groups...)
		if dialed++; dialed == 1 {
			k.Unload()
			k.Load(fakeFamily + 1)
		}
		return sock, err
	}
	w := openWatch(t, c)
	k.Put(fakekernel.Entry{ID: 1, Name: "x"})
	if got, err := events(t, w, 1); err != nil || got[0].Entry.ID != 1 || dialed != 2 {
		t.Errorf("%+v, %v, %d sockets", got, err, dialed)
	}
	c.sockets.Events = func(int, ...uint32) (nldump.PollSocket, error) { return nil, os.ErrPermission }
	if _, err := c.OpenWatch(t.Context(), WatchOptions{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v, want ErrPermission", err)
	}
	c.sockets.Events = func(size int, groups ...uint32) (nldump.PollSocket, error) {
		k.Unload()
		return dialEvents(size, groups...)
	}
	if _, err := c.OpenWatch(t.Context(), WatchOptions{}); !errors.Is(err, ErrNoFamily) {
		t.Errorf("%v, want ErrNoFamily", err)
	}
}

func TestSubscribeWithoutGroup(t *testing.T) {
	c, err := dial(sockets.Dialer{Requests: func() (*genetlink.Conn, error) {
		return genltest.Dial(func(m genetlink.Message, n netlink.Message) ([]genetlink.Message, error) {
			return genltest.ServeFamily(genetlink.Family{ID: fakeFamily, Version: 1, Name: FamilyName}, nil)(m, n)
		}), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.OpenWatch(t.Context(), WatchOptions{}); !errors.Is(err, ErrBadReply) {
		t.Errorf("%v, want ErrBadReply", err)
	}
}

// The controller's group is there without the module.
func TestKernelJoinGroups(t *testing.T) {
	sock, err := joinGroups(0, 5000, []uint32{controllerGroup})
	if err != nil {
		t.Skipf("no generic netlink here: %v", err)
	}
	if _, err := sock.Poll(make([]byte, 4096)); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("%v, want EAGAIN", err)
	}
	if err := sock.Close(); err != nil {
		t.Error(err)
	}
	if _, err := joinGroups(0, 0, []uint32{1 << 30}); err == nil {
		t.Error("joined a group that there is not")
	}
	if _, err := joinGroups(-1, 0, nil); err == nil {
		t.Error("in a namespace that there is not")
	}
}
