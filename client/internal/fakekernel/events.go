// SPDX-License-Identifier: BSD-3-Clause

package fakekernel

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

func (k *Kernel) send(cmd uint8, attrs ...[]byte) {
	m := script.Message(k.Family, 0, append([][]byte{{cmd, uapi.Version, 0, 0}}, attrs...)...)
	for _, l := range k.Listeners {
		l.Push(m)
	}
}

// A Listener is a socket that gets events.
type Listener struct {
	script.Live
	k *Kernel

	mu        sync.Mutex
	queue     [][]byte
	congested bool
	overrun   bool // ENOBUFS is due
}

// Hold makes the readers of events wait, even if there are some, or go on.
func (k *Kernel) Hold(on bool) {
	for _, l := range k.Listeners {
		l.Hold(on)
	}
}

func (k *Kernel) dialEvents(_ int, groups ...uint32) (nldump.PollSocket, error) {
	k.ask()
	k.Lock()
	defer k.Unlock()
	if !slices.Equal(groups, []uint32{unix.GENL_ID_CTRL, group}) {
		return nil, unix.EINVAL
	}
	l := &Listener{k: k}
	l.Init(l.pop)
	if k.Family != 0 {
		k.Listeners = append(k.Listeners, l)
	}
	return l, nil
}

// Push is netlink_broadcast_deliver and netlink_overrun.
func (l *Listener) Push(m []byte) {
	l.mu.Lock()
	if l.congested || len(l.queue) >= l.k.QueueLimit {
		l.overrun = l.overrun || !l.congested
		l.congested = true
	} else {
		l.queue = append(l.queue, m)
	}
	l.mu.Unlock()
	l.Changed()
}

// pop is netlink_recvmsg; EAGAIN if there is nothing.
func (l *Listener) pop() ([]byte, error) {
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
func (l *Listener) Poll(buf []byte) (nldump.Datagram, error) {
	l.k.ask()
	return l.Live.Poll(buf)
}

// Recv implements nldump.Socket.
func (l *Listener) Recv(buf []byte) (nldump.Datagram, error) {
	l.k.ask()
	return l.Live.Recv(buf)
}
