// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A socket has the fields that every reader decodes. All of them are in the fixed
// header of its record, a struct inet_diag_msg.
type socket struct {
	addr  uint32
	port  uint16
	state uint8
	inode uint32
}

func (s *socket) words() words {
	return words{pack(s.addr, uint32(s.port)), pack(uint32(s.state), s.inode)}
}

const sizeofInetDiagMsg = 72

var sockets = &table{
	name:    "sockets",
	entries: 50_000,

	protocol: unix.NETLINK_SOCK_DIAG,
	request:  nldump.Message{Type: sockDiagByFamily, Data: udpSockets()},
	create:   createSockets,
	remove:   removeSockets,

	decode:         decodeSocket,
	decodeMdlayher: decodeSocketMdlayher,
	others: []reader{
		{name: "vishvananda list", read: listSocketsVishvananda},
		libmnl("sockets"),
		{name: "ss", program: "ss", args: []string{"-H", "-n", "-4", "-u", "-a", "-e"}, parse: parseSocket},
	},
}

const sockDiagByFamily = 20

// udpSockets returns a struct inet_diag_req_v2: those of IPv4, in each state.
func udpSockets() []byte {
	b := make([]byte, 56)
	b[0], b[1] = unix.AF_INET, unix.IPPROTO_UDP
	binary.NativeEndian.PutUint32(b[4:], 1<<32-1)
	return b
}

func socketOf(b []byte) (words, error) {
	if len(b) < sizeofInetDiagMsg {
		return words{}, errShort
	}
	s := socket{
		addr: binary.BigEndian.Uint32(b[8:]), port: binary.BigEndian.Uint16(b[4:]), state: b[1],
		inode: binary.NativeEndian.Uint32(b[68:]),
	}
	return s.words(), nil
}

func decodeSocket(m nldump.Message) (words, error) { return socketOf(m.Data) }

func decodeSocketMdlayher(m netlink.Message) (words, error) { return socketOf(m.Data) }

func listSocketsVishvananda(_ context.Context, sum *tally) error {
	all, err := vishvananda.SocketDiagUDP(unix.AF_INET)
	if err != nil {
		return err
	}
	for _, v := range all {
		s := socket{addr: uint32Of(v.ID.Source), port: v.ID.SourcePort, state: v.State, inode: v.INode}
		sum.add(s.words())
	}
	return nil
}

// parseSocket parses a line of ss: state, bytes in both queues, both addresses, and
// then words such as ino:1234.
func parseSocket(line string, _ map[string]uint32) (words, error) {
	var s socket
	p := parser{fields: strings.Fields(line)}
	s.state = p.oneOf(map[string]uint8{"ESTAB": 1, "UNCONN": 7})
	p.number(32)
	p.number(32)
	local := p.next()
	if at, err := netip.ParseAddrPort(local); err != nil {
		p.fail("%q is no address and port", local)
	} else {
		s.addr, s.port = p.parseAddr(at.Addr().String()), at.Port()
	}
	p.next()
	for p.more() {
		if text, ok := strings.CutPrefix(p.next(), "ino:"); ok {
			n, err := strconv.ParseUint(text, 10, 32)
			if err != nil {
				p.fail("%q is no inode", text)
			}
			s.inode = uint32(n)
		}
	}
	return s.words(), p.err
}

// perHolder is how many sockets a process holds. Where nobody raised the limit, a
// process may have 4096 files.
const perHolder = 4_000

// holders are the processes that hold the sockets of createSockets.
var holders []*holder

type holder struct {
	cmd *exec.Cmd
	in  io.Closer // it ends when this is closed
}

// createSockets opens UDP sockets, each with an address and a port of its own, in
// processes of their own.
func createSockets(n int) (sum tally, err error) {
	self, err := os.Executable()
	if err != nil {
		return sum, err
	}
	for from := 0; from < n; from += perHolder {
		cmd := exec.Command(self, "hold", strconv.Itoa(from), strconv.Itoa(min(perHolder, n-from)))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return sum, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return sum, err
		}
		if err := cmd.Start(); err != nil {
			return sum, err
		}
		holders = append(holders, &holder{cmd, in})
		var part tally
		if err := json.NewDecoder(out).Decode(&part); err != nil {
			return sum, fmt.Errorf("the process that holds sockets: %w", err)
		}
		sum.Records, sum.Sum = sum.Records+part.Records, sum.Sum+part.Sum
	}
	return sum, nil
}

func removeSockets() {
	for _, h := range holders {
		_ = h.in.Close()
		_ = h.cmd.Wait()
	}
	holders = nil
}

// holdSockets is the process of "hold FROM COUNT": it opens sockets, prints their
// tally, and ends with its input.
func holdSockets(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("hold takes a first number and a count, not %q", args)
	}
	from, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var sum tally
	for i := from; i < from+count; i++ {
		const ports = 50_000
		s := socket{addr: 10<<24 + uint32(i/ports), port: uint16(10_000 + i%ports), state: 7}
		if s.inode, err = openSocket(&s); err != nil {
			return fmt.Errorf("socket %d: %w", i, err)
		}
		sum.add(s.words())
	}
	if err := json.NewEncoder(out).Encode(sum); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// openSocket opens a socket that stays until the process ends. Its address needs no
// device (IP_FREEBIND).
func openSocket(s *socket) (inode uint32, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	at := &unix.SockaddrInet4{Port: int(s.port)}
	binary.BigEndian.PutUint32(at.Addr[:], s.addr)
	var info unix.Stat_t
	err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1), unix.Bind(fd, at), unix.Fstat(fd, &info))
	return uint32(info.Ino), err
}
