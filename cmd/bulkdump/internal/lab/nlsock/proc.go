// SPDX-License-Identifier: BSD-3-Clause

package nlsock

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// parseProc reads /proc/net/netlink (net/netlink/af_netlink.c:
// netlink_native_seq_show): sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode.
func parseProc(text string) ([]Socket, error) {
	var all []Socket
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) > 0 && f[0] == "sk" {
			continue
		}
		if len(f) != 10 {
			return nil, fmt.Errorf("/proc/net/netlink: %d fields, want 10: %q", len(f), line)
		}
		var failed error
		number := func(i, base, size int) uint32 {
			v, err := strconv.ParseUint(f[i], base, size)
			if err != nil && failed == nil {
				failed = fmt.Errorf("/proc/net/netlink: field %d: %q is not a number of %d bits", i+1, f[i], size)
			}
			return uint32(v)
		}
		s := Socket{
			Protocol: Protocol(number(1, 10, 8)), PortID: number(2, 10, 32),
			Queued: number(4, 10, 32), Dump: number(6, 10, 1) == 1,
			Drops: number(8, 10, 32), Inode: number(9, 10, 64),
			Source: Proc,
		}
		for set := number(3, 16, 32); set != 0; set &= set - 1 {
			s.Groups = append(s.Groups, Group{ID: uint32(bits.TrailingZeros32(set)) + 1})
		}
		if failed != nil {
			return nil, failed
		}
		all = append(all, s)
	}
	return all, nil
}

// merge returns the sockets of both lists, each once, and preferably as sock_diag
// has it. One that came or went meanwhile may be missing in /proc/net/netlink, too.
func merge(diag, proc []Socket) []Socket {
	var all []Socket
	known := make(map[key]bool, len(diag))
	for _, list := range [][]Socket{diag, proc} {
		for _, s := range list {
			if !known[s.key()] {
				known[s.key()] = true
				all = append(all, s)
			}
		}
	}
	return all
}
