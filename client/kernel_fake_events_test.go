// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

func (k *tableKernel) send(cmd uint8, attrs ...[]byte) {
	m := script.Message(k.family, 0, append([][]byte{{cmd, uapi.Version, 0, 0}}, attrs...)...)
	for _, l := range k.listeners {
		l.push(m)
	}
}

// A listener is a socket in the groups.
type listener struct {
	script.Live
	k *tableKernel

	mu        sync.Mutex
	queue     [][]byte
	congested bool
	overrun   bool // ENOBUFS is due
}

// hold makes the readers of events wait, whatever there is, or go on.
func (k *tableKernel) hold(on bool) {
	for _, l := range k.listeners {
		l.Hold(on)
	}
}

func (k *tableKernel) dialEvents(_ int, groups ...uint32) (nldump.PollSocket, error) {
	k.ask()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Equal(groups, []uint32{unix.GENL_ID_CTRL, 77}) {
		return nil, unix.EINVAL
	}
	l := &listener{k: k}
	l.Init(l.pop)
	if k.family != 0 {
		k.listeners = append(k.listeners, l)
	}
	return l, nil
}

// push is netlink_broadcast_deliver and netlink_overrun.
func (l *listener) push(m []byte) {
	l.mu.Lock()
	if l.congested || len(l.queue) >= l.k.queueLimit {
		l.overrun = l.overrun || !l.congested
		l.congested = true
	} else {
		l.queue = append(l.queue, m)
	}
	l.mu.Unlock()
	l.Changed()
}

// pop is netlink_recvmsg; EAGAIN if there is nothing.
func (l *listener) pop() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var m []byte
	var err error
	switch {
	case l.overrun:
		l.overrun, err = false, unix.ENOBUFS
	case len(l.queue) > 0:
		m, l.queue = l.queue[0], l.queue[1:]
	default:
		err = unix.EAGAIN
	}
	if len(l.queue) == 0 {
		l.congested = false
	}
	return m, err
}

// Poll implements nldump.PollSocket.
func (l *listener) Poll(buf []byte) (nldump.Datagram, error) {
	l.k.ask()
	return l.Live.Poll(buf)
}

// Recv implements nldump.Socket.
func (l *listener) Recv(buf []byte) (nldump.Datagram, error) {
	l.k.ask()
	return l.Live.Recv(buf)
}
