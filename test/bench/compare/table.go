// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/test/bench/figure"
)

// A table is one of the kernel's, and all ways to read it.
type table struct {
	name    string
	entries int // as many as are compared

	// The dump that all readers ask for.
	protocol int
	request  nldump.Message

	// create makes n entries in the namespace of the thread, and tells what
	// readers have to make of them. The namespace has the devices of
	// deviceNames, which are up if devicesUp.
	create    func(n int) (tally, error)
	devicesUp bool

	// Of a record, by the two libraries that have no types of their own for it.
	decode         func(nldump.Message) (words, error)
	decodeMdlayher func(netlink.Message) (words, error)

	others []reader
}

// A reader reads a table in a process of its own: this program, or another one
// whose output is text.
type reader struct {
	name string
	read func(context.Context, *tally) error

	args  []string // of iproute2's ip
	parse func(line string, devices map[string]uint32) (words, error)
}

// tables are all that are compared.
func tables() []*table { return []*table{routes, neighbours, conntrack, policies} }

// readers are all of a table's, ours first.
func (t *table) readers() []reader {
	return append([]reader{
		{name: figure.Bulkdump, read: t.readBulkdump},
		{name: "mdlayher execute", read: t.readExecute},
		{name: "mdlayher iter", read: t.readReceiveIter},
	}, t.others...)
}

func (t *table) readBulkdump(ctx context.Context, sum *tally) error {
	s, err := nldump.Dial(t.protocol, nldump.Config{})
	if err != nil {
		return err
	}
	defer s.Close()
	for m, err := range s.Records(ctx, t.request) {
		if err != nil {
			return err
		}
		w, err := t.decode(m)
		if err != nil {
			return err
		}
		sum.add(w)
	}
	return nil
}

// readExecute is what the library's documentation shows: Execute, then an
// AttributeDecoder for each message.
func (t *table) readExecute(_ context.Context, sum *tally) error {
	c, err := netlink.Dial(t.protocol, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	messages, err := c.Execute(t.dumpRequest())
	if err != nil {
		return err
	}
	for _, m := range messages {
		w, err := t.decodeMdlayher(m)
		if err != nil {
			return err
		}
		sum.add(w)
	}
	return nil
}

// readReceiveIter is the library at its best: a buffer as large as a page, and
// messages one by one.
func (t *table) readReceiveIter(_ context.Context, sum *tally) error {
	c, err := netlink.Dial(t.protocol, &netlink.Config{MessageBufferSize: 32 << 10})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Send(t.dumpRequest()); err != nil {
		return err
	}
	for m, err := range c.ReceiveIter() {
		if err != nil {
			return err
		}
		w, err := t.decodeMdlayher(m)
		if err != nil {
			return err
		}
		sum.add(w)
	}
	return nil
}

func (t *table) dumpRequest() netlink.Message {
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(t.request.Type), Flags: netlink.Request | netlink.Dump},
		Data:   t.request.Data,
	}
}

// ofFamily is a request's fixed header of so many bytes, which begins with the
// address family, as most do.
func ofFamily(size int) []byte {
	b := make([]byte, size)
	b[0] = unix.AF_INET
	return b
}
