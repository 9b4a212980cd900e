// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

func TestErrorText(t *testing.T) {
	// offset 20: a filter nest; 24: id-from in the nest; 32: id-to in the nest
	req := append([]byte{uapi.CmdEntryGet, 1, 0, 0}, script.Attr(uapi.AttrEntryFilter|unix.NLA_F_NESTED, script.U32(uapi.AttrFilterIDFrom, 5), script.U32(uapi.AttrFilterIDTo, 4))...)
	for want, in := range map[string]error{
		"entry-get: no such file or directory":                                    &netlink.OpError{Op: "receive", Err: unix.ENOENT},
		"entry-get: invalid argument: start after end (attribute filter)":         &netlink.OpError{Err: unix.EINVAL, Message: "start after end", Offset: 20},
		"entry-get: invalid argument: start after end (attribute filter.id-from)": &netlink.OpError{Err: unix.EINVAL, Message: "start after end", Offset: 24},
		"entry-get: invalid argument (attribute filter.id-to)":                    &nldump.KernelError{Errno: unix.EINVAL, Offset: 32},
		"entry-get: invalid argument":                                             &nldump.KernelError{Errno: unix.EINVAL, Offset: 200},
		"entry-get: invalid argument (attribute id is missing)":                   &nldump.KernelError{Errno: unix.EINVAL, MissingType: uapi.AttrEntryID},
		"entry-get: dump ended early: message too long: record":                   &nldump.KernelError{Errno: unix.EMSGSIZE, Message: "record", Done: true},
		"entry-get: dump makes no progress":                                       nldump.ErrNoProgress,
		"entry-get: netlink send: sendmsg: no buffer space available":             &netlink.OpError{Op: "send", Err: os.NewSyscallError("sendmsg", unix.ENOBUFS)},
	} {
		got := opEntryGet.fail(in, req)
		if got.Error() != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		var o *netlink.OpError
		if errors.As(in, &o) {
			in = o.Err
		}
		var k *nldump.KernelError
		if errors.As(in, &k) {
			in = k.Errno
		}
		if !errors.Is(got, in) {
			t.Errorf("%q is not %v", got, in)
		}
	}
	if err := opEntryGet.fail(nil, req); err != nil {
		t.Errorf("no error became %v", err)
	}
}

func TestErrorsAre(t *testing.T) {
	if !errors.Is(ErrNoFamily, os.ErrNotExist) || !strings.Contains(ErrNoFamily.Error(), "is the bulkdump module loaded?") {
		t.Errorf("ErrNoFamily: %v", ErrNoFamily)
	}
	if !errors.Is(ErrClosed, os.ErrClosed) {
		t.Errorf("ErrClosed: %v", ErrClosed)
	}
}
