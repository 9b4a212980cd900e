// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// WatchOptions says how to receive events. The zero value is usable.
type WatchOptions struct {
	// ReceiveBuffer is the size in bytes of the socket's receive queue, which
	// holds the events that come while none is read; see
	// nldump.Config.ReceiveBuffer. An event takes about 1 KiB of it, plus its
	// payload. 0 means the system's default.
	ReceiveBuffer int
}

// Watch yields the changes of the table as they come, from the start of the loop.
// ErrOverrun says that events were lost there, and the loop may go on; see
// Watcher.Events. Any other error ends the loop: the context's, ErrNoFamily when
// the module is unloaded, ErrClosed.
//
// Use OpenWatch if you must be subscribed before you do something else.
func (c *Client) Watch(ctx context.Context, o WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w, err := c.OpenWatch(ctx, o)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer w.Close()
		w.Events(ctx)(yield)
	}
}

// A Watcher is a subscription to the table's changes. It is for one goroutine at a
// time; Close and Reloaded may be called from any.
type Watcher struct {
	c      *Client
	sock   nldump.PollSocket
	buf    []byte
	rest   []byte // of the last datagram
	family uint16
	lost   bool // the kernel said ENOBUFS, and drops events until the queue is empty
	err    error
}

// OpenWatch subscribes, on a socket of its own. Each change that is made after it
// returns comes as an event. So a dump that you start then misses nothing.
func (c *Client) OpenWatch(ctx context.Context, o WatchOptions) (*Watcher, error) {
	sock, family, err := c.subscribe(ctx, o.ReceiveBuffer)
	if err != nil {
		return nil, err
	}
	w := &Watcher{c: c, sock: sock, family: family, buf: make([]byte, nldump.DefaultBufferSize)}
	if err := c.adopt(sock); err != nil {
		return nil, err
	}
	return w, nil
}

// Close ends the subscription. A loop over Events ends with ErrClosed. Closing
// again does nothing.
func (w *Watcher) Close() error { return w.c.closeSocket(w.sock) }

// Reloaded tells whether the client has found out, by a request or a dump, that
// the module was loaded again since the subscription. The events are those of the
// old table.
func (w *Watcher) Reloaded() bool { return w.c.family.Load() != uint32(w.family) }

// Events yields the events in the order of their generations. Unless events are
// lost, it leaves none out; but a fill that the kernel had to undo leaves a gap in
// the generations.
//
// When the receive queue overflows, Events yields what is in the queue and then,
// once, ErrOverrun. The loop may go on: each change that is made after the error
// was yielded comes as an event again, or is lost to another ErrOverrun. To get
// what is missing, start a dump after the error, with the last generation before
// it as Since.
//
// Any other error ends the loop, and all later loops too. But the context's error
// does not: another loop with another context goes on where this one stopped. So
// does a loop after a break.
func (w *Watcher) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		defer w.watch(ctx)()
		for {
			e, err := w.next(ctx)
			if !yield(e, err) || err != nil && !errors.Is(err, ErrOverrun) {
				return
			}
		}
	}
}

// watch makes Recv give up when ctx is done. It ends with stop.
func (w *Watcher) watch(ctx context.Context) (stop func()) {
	ran := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(ran)
		_ = w.sock.SetReadDeadline(time.Unix(1, 0)) // fails only if closed, which ends Recv too
	})
	return func() {
		if !cancel() {
			<-ran
			_ = w.sock.SetReadDeadline(time.Time{})
		}
	}
}

// next waits for the next event. An error stays, unless it is ErrOverrun or the
// context's.
func (w *Watcher) next(ctx context.Context) (Event, error) {
	for w.err == nil {
		if err := ctx.Err(); err != nil {
			return Event{}, err
		}
		if len(w.rest) == 0 {
			if err := w.receive(ctx); err != nil {
				return Event{}, err
			}
			continue
		}
		m, rest, err := nldump.NextMessage(w.rest)
		w.rest = rest
		var e Event
		if err == nil {
			e, err = w.decode(m)
		}
		if w.err = err; err == nil && e.Kind != 0 {
			return e, nil
		}
	}
	return Event{}, w.err
}

func (w *Watcher) decode(m nldump.Message) (Event, error) {
	switch {
	case m.Type == unix.GENL_ID_CTRL && isFarewell(m.Data, w.family):
		return Event{}, ErrNoFamily
	case m.Type == w.family:
		return decodeEvent(m.Data)
	}
	return Event{}, nil
}

// receive reads the next datagram from the kernel.
//
// After ENOBUFS the kernel adds nothing to the queue until it has been read empty,
// and does not report what it drops until then (af_netlink.c:netlink_overrun,
// netlink_rcv_wake). So receive reports the loss when the queue is empty, or when
// the queue overflows again, which means that it has been empty.
func (w *Watcher) receive(ctx context.Context) error {
	recv := w.sock.Recv
	if w.lost {
		recv = w.sock.Poll
	}
	d, err := recv(w.buf)
	switch cause := ctx.Err(); {
	case cause != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return cause
	case errors.Is(err, unix.EAGAIN):
		w.lost = false
		return ErrOverrun
	case errors.Is(err, unix.ENOBUFS):
		again := w.lost
		w.lost = true
		if again {
			return ErrOverrun
		}
	case errors.Is(err, os.ErrClosed):
		w.err = ErrClosed
	case err != nil:
		w.err = fmt.Errorf("events: %w", err)
	case d.From != 0: // not the kernel
	case d.Len > len(w.buf):
		w.err = fmt.Errorf("events: %w", &nldump.TruncatedError{Size: d.Len, Buffer: len(w.buf)})
	default:
		w.rest = w.buf[:d.Len]
	}
	return nil
}

// eventGroup is the name of the family's multicast group.
const eventGroup = "entries"

// subscribe returns a socket that gets the family's events, and the family's
// number. The socket is also in the controller's group, which tells when the
// family goes. The kernel removes the members of the family's own group with it,
// and does not tell them.
func (c *Client) subscribe(ctx context.Context, size int) (nldump.PollSocket, uint16, error) {
	for {
		f, err := c.getFamily(ctx)
		if err != nil {
			return nil, 0, err
		}
		var group uint32
		for _, g := range f.Groups {
			if g.Name == eventGroup {
				group = g.ID
			}
		}
		if group == 0 {
			return nil, 0, fmt.Errorf("%w: the family has no group %q", ErrBadReply, eventGroup)
		}
		sock, joinErr := c.sockets.Events(size, controllerGroup, group)
		// If the family went and came back before the socket had joined, nothing
		// told the socket, and the group was that of the old family.
		err = c.resolve(ctx)
		if err == nil && c.family.Load() == uint32(f.ID) {
			return sock, f.ID, joinErr
		}
		if joinErr == nil {
			_ = sock.Close()
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// joinGroups opens a socket that is in the multicast groups.
func joinGroups(netns, size int, groups []uint32) (nldump.PollSocket, error) {
	conn, err := netlink.Dial(unix.NETLINK_GENERIC, &netlink.Config{NetNS: netns})
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	sock, err := nldump.Open(conn, nldump.Config{ReceiveBuffer: size})
	for _, g := range groups {
		if err == nil {
			err = conn.JoinGroup(g)
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("events: %w", err)
	}
	return sock, nil
}

// An EventKind says what changed.
type EventKind uint8

// The kinds of an Event.
const (
	EventNew   EventKind = iota + 1 // an entry was made
	EventSet                        // an entry was changed
	EventDel                        // an entry was deleted
	EventFill                       // many entries were made, each with its own generation
	EventFlush                      // all entries were deleted
)

var eventNames = []string{"", "new", "set", "del", "fill", "flush"}

// String returns new, set, del, fill or flush.
func (k EventKind) String() string { return nameOf("event", eventNames, uint32(k)) }

// MarshalText is String.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name.
func (k *EventKind) UnmarshalText(text []byte) error {
	var v uint32
	if err := named("event", eventNames, string(text), &v); err != nil {
		return err
	}
	*k = EventKind(v)
	return nil
}

// An Event is one change of the table.
type Event struct {
	Kind EventKind `json:"kind"`

	// Generation is the table's after the change: one more than before, or Count
	// more after EventFill.
	Generation uint64 `json:"generation"`

	// Entry is the whole entry as it is now, with EventNew and EventSet. With
	// EventDel it has ID, Generation and Deleted. Otherwise it is zero.
	Entry Entry `json:"entry,omitzero"`

	// Count is how many entries EventFill made, or EventFlush deleted.
	Count uint64 `json:"count,omitempty"`

	// IDStart and IDStride say which ids EventFill made: Count of them from
	// IDStart on, IDStride apart. The event does not say what the entries hold;
	// a dump tells it, with the generation before as Since.
	IDStart  uint32 `json:"id_start,omitempty"`
	IDStride uint32 `json:"id_stride,omitempty"`
}

// decodeEvent reads the event after a netlink header. The kind is 0 if the spec
// does not know the event.
func decodeEvent(b []byte) (Event, error) {
	if len(b) < genlHeaderLen {
		return Event{}, fmt.Errorf("%w: event of %d bytes", ErrBadReply, len(b))
	}
	attrs := b[genlHeaderLen:]
	switch b[0] {
	case uapi.CmdEntryNewNtf:
		return decodeEntryEvent(EventNew, attrs)
	case uapi.CmdEntrySetNtf:
		return decodeEntryEvent(EventSet, attrs)
	case uapi.CmdEntryDelNtf:
		return decodeEntryEvent(EventDel, attrs)
	case uapi.CmdTableFillNtf:
		f, err := decodeFill(attrs)
		return Event{Kind: EventFill, Generation: f.Generation, Count: uint64(f.Count), IDStart: f.idStart, IDStride: f.idStride}, err
	case uapi.CmdTableFlushNtf:
		t, err := decodeTable(attrs)
		return Event{Kind: EventFlush, Generation: t.Generation, Count: t.Count}, err
	}
	return Event{}, nil
}

func decodeEntryEvent(kind EventKind, b []byte) (Event, error) {
	var r Record
	if err := decodeRecord(b, &r); err != nil {
		return Event{}, err
	}
	r.Deleted = kind == EventDel
	return Event{Kind: kind, Generation: r.Generation, Entry: r.Entry()}, nil
}

// controllerGroup is the group "notify" of generic netlink's controller. Its number
// is fixed (net/netlink/genetlink.c:genl_allocate_reserve_groups).
const controllerGroup = unix.GENL_ID_CTRL

// isFarewell tells whether a message from the controller says that the family with
// the number is gone.
func isFarewell(b []byte, family uint16) bool {
	if len(b) < genlHeaderLen || b[0] != unix.CTRL_CMD_DELFAMILY {
		return false
	}
	a := nldump.Parse(b[genlHeaderLen:])
	return a.Find(unix.CTRL_ATTR_FAMILY_ID) && a.Uint16() == family
}
