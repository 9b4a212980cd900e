// SPDX-License-Identifier: BSD-3-Clause

package fakekernel

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

// A dumper is a socket with a dump. It builds a page when the previous one was read.
type dumper struct {
	script.Live
	k       *Kernel
	since   *uint64
	started uint64 // generation at the start
	next    uint64 // id or generation
	err     syscall.Errno
	running bool
	ready   []byte // the next page: made when the one before was read
}

func (k *Kernel) dialDump(cfg nldump.Config) (*nldump.Stream, error) {
	d := &dumper{k: k}
	d.Init(d.page)
	return nldump.New(d, cfg)
}

// Send starts a dump.
func (d *dumper) Send(m nldump.Message) (nldump.Message, error) {
	d.k.ask()
	d.k.Lock()
	defer d.k.Unlock()
	m.Seq, m.PortID = script.Seq, script.Port
	d.since, d.err, d.next, d.started = nil, 0, 0, d.k.Generation
	if m.Type != d.k.Family {
		d.err = unix.ENOENT
		return m, nil
	}
	if a := nldump.Parse(m.Data[4:]); a.Find(uapi.AttrEntrySince) {
		since := a.Uint()
		d.since, d.next = &since, since+1
		if since < d.k.floor || since > d.k.Generation {
			d.err = unix.ESTALE
			return m, nil
		}
	} else {
		d.k.Fulls++
	}
	d.running = true
	d.k.Open++
	d.ready = d.make()
	return m, nil
}

// page is netlink_recvmsg: it takes a page, and builds the next.
func (d *dumper) page() ([]byte, error) {
	k := d.k
	k.ask()
	k.Lock()
	defer k.Unlock()
	if d.err != 0 {
		return script.Message(unix.NLMSG_ERROR, 0, script.Errno(d.err), make([]byte, unix.SizeofNlMsghdr)), nil
	}
	if k.Overrun {
		k.Overrun = false
		return nil, unix.ENOBUFS
	}
	page := d.ready
	if d.running {
		d.ready = d.make()
	}
	return page, nil
}

// make builds a page of the table or the log as it is.
func (d *dumper) make() []byte {
	k := d.k
	var page []byte
	records := d.records()
	stale := d.since != nil && k.floor >= d.next && d.next <= d.started
	for _, e := range records[:min(k.PerPage, len(records))] {
		attrs := entryAttrs(e)
		d.next = uint64(e.ID) + 1
		if d.since != nil {
			d.next = e.Generation + 1
		}
		if e.Deleted {
			attrs = slices.Concat(script.U32(uapi.AttrEntryID, e.ID), script.U64(uapi.AttrEntryGeneration, e.Generation), script.Attr(uapi.AttrEntryDeleted))
		}
		page = append(page, script.Message(k.Family, unix.NLM_F_MULTI, []byte{uapi.CmdEntryGet, uapi.Version, 0, 0}, attrs)...)
	}
	var errno syscall.Errno
	switch {
	case stale:
		errno = unix.ESTALE
	case len(k.DumpErrors) > 0:
		errno, k.DumpErrors = k.DumpErrors[0], k.DumpErrors[1:]
	case len(records) > k.PerPage:
		return page
	}
	var flags uint16
	if k.Generation+uint64(len(k.filling)) != d.started {
		flags = unix.NLM_F_DUMP_INTR
	}
	d.running = false
	k.Open--
	return append(page, script.Done(flags, errno)...)
}

// records are those that are still to come, as the table and its log are now.
func (d *dumper) records() []Entry {
	var all []Entry
	for id, e := range d.k.Entries {
		if d.since == nil && uint64(id) >= d.next {
			all = append(all, e)
		}
	}
	for g, e := range d.k.log {
		if d.since != nil && g >= d.next && g <= d.started {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b Entry) int {
		if d.since != nil {
			return int(a.Generation) - int(b.Generation)
		}
		return int(a.ID) - int(b.ID)
	})
	return all
}

// Close implements nldump.Socket.
func (d *dumper) Close() error {
	d.k.Lock()
	if d.running {
		d.running = false
		d.k.Open--
	}
	d.k.Unlock()
	return d.Live.Close()
}
