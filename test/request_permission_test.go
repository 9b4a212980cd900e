// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/mdlayher/genetlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
)

const nobody = 65534

const nobodyCount = 1000 // entries that nobody finds

// wantUntouched calls fn and checks that the table did not change.
func wantUntouched(t *testing.T, c *client.Client, fn func()) {
	t.Helper()
	before := state(t, c)
	fn()
	if after := state(t, c); after.Generation != before.Generation || after.Count != before.Count {
		t.Errorf("the table changed: %d entries of generation %d, before %d of %d", after.Count, after.Generation, before.Count, before.Generation)
	}
}

// Without a capability, a process may only read, no matter what the module's
// parameters are.
// Rule 22.
func TestUnprivilegedMayOnlyRead(t *testing.T) {
	for _, params := range []string{"", "userns_admin=1"} {
		t.Run(params, func(t *testing.T) {
			c := reload(t, params)
			fill(t, c, client.FillOptions{Count: nobodyCount})
			wantUntouched(t, c, func() {
				runRole(t, roleNobody, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}})
			})
		})
	}
}

// The root of a user namespace may change the table of its own network
// namespace only if the module was loaded with userns_admin=1. It may never
// change another table, not even through a socket that root opened there.
func TestOwnerOfNamespace(t *testing.T) {
	for _, tt := range []struct{ params, role string }{{"", roleGuest}, {"userns_admin=1", roleOwner}} {
		t.Run(tt.role, func(t *testing.T) {
			c := reload(t, tt.params)
			fill(t, c, client.FillOptions{Count: nobodyCount})
			s := openRaw(t, client.FamilyName, smallBuffer)
			other := os.NewFile(uintptr(s.fd), "socket")
			s.fd = -1 // the file owns it now
			defer other.Close()
			wantUntouched(t, c, func() {
				runRole(t, tt.role, &syscall.SysProcAttr{
					Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
					UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: nobody, Size: 1}},
					GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: nobody, Size: 1}},
					// Otherwise exec would run as a user outside of the
					// namespace, without rights.
					Credential: &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: true},
				}, other)
			})
		})
	}
}

func playRole(role string) error {
	c, err := client.Dial(client.Config{})
	if err != nil {
		return err
	}
	defer c.Close()
	switch role {
	case roleNobody:
		return playNobody(context.Background(), c)
	case roleGuest:
		return playGuest(context.Background(), c)
	case roleOwner:
		return playOwner(context.Background(), c)
	case roleFill:
		_, err := c.Fill(context.Background(), client.FillOptions{Count: 4_000_000})
		return err
	case roleCharge:
		_, err := c.Fill(context.Background(), client.FillOptions{Count: chargedCount})
		return err
	case roleSync:
		return playSync(context.Background(), c)
	case roleRead:
		return playRead(context.Background(), c)
	case roleSend:
		return playSend()
	}
	return fmt.Errorf("no role %q", role)
}

func playNobody(ctx context.Context, c *client.Client) error {
	if uid := os.Getuid(); uid != nobody {
		return fmt.Errorf("uid %d, want %d", uid, nobody)
	}
	if err := wantRefused(ctx, c); err != nil {
		return err
	}
	if _, err := c.Get(ctx, 1); err != nil {
		return err
	}
	if _, err := c.Table(ctx); err != nil {
		return err
	}
	return countRecords(ctx, c, client.DumpOptions{}, nobodyCount)
}

// playGuest is root in a user namespace, but has no rights in its table.
func playGuest(ctx context.Context, c *client.Client) error {
	if err := wantRefused(ctx, c); err != nil {
		return err
	}
	if err := countRecords(ctx, c, client.DumpOptions{}, 0); err != nil {
		return err
	}
	return changeOther()
}

// playOwner is root in a user namespace, and may do anything with its table.
func playOwner(ctx context.Context, c *client.Client) error {
	if _, err := c.Fill(ctx, client.FillOptions{Count: 10}); err != nil {
		return err
	}
	for _, cursor := range cursors {
		if err := countRecords(ctx, c, client.DumpOptions{Cursor: cursor}, 10); err != nil {
			return fmt.Errorf("cursor %v: %w", cursor, err)
		}
	}
	for name, change := range changes(ctx, c) {
		if name == "flush" {
			continue
		}
		if err := change(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return changeOther()
}

// wantRefused makes all requests that need a right, and checks that the answer
// names the right.
func wantRefused(ctx context.Context, c *client.Client) error {
	refused := changes(ctx, c)
	for _, cursor := range cursors {
		if cursor != client.CursorKey {
			refused[cursor.String()] = func() error { return countRecords(ctx, c, client.DumpOptions{Cursor: cursor}, 0) }
		}
	}
	for name, call := range refused {
		err := call()
		if !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("%s: error %v, want EPERM", name, err)
		}
		for _, part := range []string{"CAP_NET_ADMIN in the initial user namespace", "userns_admin"} {
			if !strings.Contains(err.Error(), part) {
				return fmt.Errorf("%s: error %v, want %q in it", name, err, part)
			}
		}
	}
	return nil
}

// changeOther tries to change the table of the socket in the first file after
// stderr.
func changeOther() error {
	const fd = 3
	c, err := genetlink.Dial(nil)
	if err != nil {
		return err
	}
	defer c.Close()
	family, err := c.GetFamily(client.FamilyName)
	if err != nil {
		return err
	}
	s := &rawSocket{fd: fd, family: family.ID}
	for name, body := range map[string][]byte{
		"new":   request(cmdEntryNew, attrU32(attrID, 1<<20), attrText(attrName, "new")),
		"set":   request(cmdEntrySet, attrU32(attrID, 2), attrText(attrName, "set")),
		"del":   request(cmdEntryDel, attrU32(attrID, 3)),
		"fill":  request(cmdTableFill, attrU32(attrCount, 1), attrU32(attrFillStart, 1<<21)),
		"flush": request(cmdTableFlush),
	} {
		if err := unix.Sendto(fd, s.message(unix.NLM_F_REQUEST, body), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		b := make([]byte, 4<<10)
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return err
		}
		if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR ||
			unix.Errno(-int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:]))) != unix.EPERM {
			return fmt.Errorf("%s in another's table: answer %x, want EPERM", name, b[:n])
		}
	}
	return nil
}

// changes returns all operations that change the table.
func changes(ctx context.Context, c *client.Client) map[string]func() error {
	return map[string]func() error{
		"new":   func() error { _, err := c.New(ctx, client.Entry{ID: 1 << 20, Name: "new"}); return err },
		"set":   func() error { _, err := c.Set(ctx, client.Change{ID: 2, Value: ptr(uint64(1))}); return err },
		"del":   func() error { _, err := c.Delete(ctx, 3); return err },
		"fill":  func() error { _, err := c.Fill(ctx, client.FillOptions{Count: 1, IDStart: 1 << 21}); return err },
		"flush": func() error { _, err := c.Flush(ctx); return err },
	}
}

func countRecords(ctx context.Context, c *client.Client, o client.DumpOptions, want int) error {
	n := 0
	for _, err := range c.Records(ctx, o) {
		if err != nil {
			return err
		}
		n++
	}
	if n != want {
		return fmt.Errorf("%d records, want %d", n, want)
	}
	return nil
}
