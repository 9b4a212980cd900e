// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"encoding/binary"
	"fmt"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// makeSockets opens sockets of each kind that sock_diag lists. Without its
// module, a kind is left out, and its row has no record.
func makeSockets(t *testing.T) {
	t.Helper()
	open := func(family, kind, protocol int) int {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
		if err != nil {
			return -1
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	local4 := func(port int) unix.Sockaddr { return &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port} }
	local6 := func(port int) unix.Sockaddr { return &unix.SockaddrInet6{Addr: [16]byte{15: 1}, Port: port} }
	const protoUDPLite, protoSCTP, protoMPTCP = 136, 132, 262
	port := 5000
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		local := local4
		if family == unix.AF_INET6 {
			local = local6
		}
		for _, protocol := range []int{unix.IPPROTO_TCP, protoMPTCP, protoSCTP} {
			listener := open(family, unix.SOCK_STREAM, protocol)
			if listener < 0 {
				continue
			}
			port++
			must("bind", unix.Bind(listener, local(port)))
			must("listen", unix.Listen(listener, 100))
			for range 30 {
				fd := open(family, unix.SOCK_STREAM, protocol)
				must("bind", unix.Bind(fd, local(0))) // SCTP would report all local addresses otherwise
				if err := unix.Connect(fd, local(port)); err != nil {
					t.Errorf("connect, protocol %d: %v", protocol, err)
					break
				}
				accepted, _, err := unix.Accept(listener)
				must("accept", err)
				t.Cleanup(func() { unix.Close(accepted) })
			}
		}
		for range 60 {
			port++
			must("bind", unix.Bind(open(family, unix.SOCK_DGRAM, unix.IPPROTO_UDP), local(port)))
			if fd := open(family, unix.SOCK_DGRAM, protoUDPLite); fd >= 0 {
				must("bind", unix.Bind(fd, local(port)))
			}
			open(family, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		}
	}
	for i := range 100 {
		must("bind", unix.Bind(open(unix.AF_UNIX, unix.SOCK_STREAM, 0), &unix.SockaddrUnix{Name: fmt.Sprintf("@every-%d", i)}))
		must("bind", unix.Bind(open(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE), &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	}
	for range 20 {
		open(unix.AF_PACKET, unix.SOCK_RAW, 0)
		if fd := open(unix.AF_VSOCK, unix.SOCK_STREAM, 0); fd >= 0 {
			must("bind", unix.Bind(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_ANY, Port: unix.VMADDR_PORT_ANY}))
		}
		open(unix.AF_XDP, unix.SOCK_RAW, 0)
		open(unix.AF_SMC, unix.SOCK_STREAM, 0)
	}
	for i := range 60 {
		if fd := open(unix.AF_TIPC, unix.SOCK_RDM, 0); fd >= 0 {
			must("bind", unix.Bind(fd, &unix.SockaddrTIPC{Scope: 2, Addr: &unix.TIPCServiceName{Type: 1000 + uint32(i), Instance: 1}}))
		}
	}
	makeMulticastRoutes(t, open)
}

// makeMulticastRoutes does what a daemon for multicast routing does.
func makeMulticastRoutes(t *testing.T, open func(family, kind, protocol int) int) {
	t.Helper()
	set := func(fd, level, option int, value []byte) {
		t.Helper()
		_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
			uintptr(unsafe.Pointer(&value[0])), uintptr(len(value)), 0)
		if errno != 0 {
			t.Errorf("option %d of multicast routing: %v", option, errno)
		}
	}
	const initialize, addInterface, addRoute = 200, 202, 204 // MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC, and those of MRT6
	four := open(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_IGMP)
	set(four, unix.IPPROTO_IP, initialize, u32(1))
	six := open(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)
	set(six, unix.IPPROTO_IPV6, initialize, u32(1))
	for i := range 2 {
		vif := make([]byte, 16) // struct vifctl, by address
		binary.NativeEndian.PutUint16(vif, uint16(i))
		vif[3] = 1
		copy(vif[8:], []byte{10, byte(10 + i), 0, 1})
		set(four, unix.IPPROTO_IP, addInterface, vif)
	}
	for i := range 100 {
		mfc := make([]byte, 60) // struct mfcctl
		copy(mfc, []byte{10, 10, 0, byte(i)})
		copy(mfc[4:], []byte{239, 2, 2, byte(i)})
		mfc[10+1] = 1
		set(four, unix.IPPROTO_IP, addRoute, mfc)
	}
}
