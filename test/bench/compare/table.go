// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
	"bulkdump/test/bench/figure"
)

// A table is one of the kernel's tables, with all ways to read it.
type table struct {
	name    string
	entries int // how many are created by default

	// The dump that all readers ask for.
	protocol int
	request  nldump.Message

	// create creates n entries in the thread's namespace and returns the tally
	// that each reader must get. The namespace has the devices of deviceNames,
	// which are up if devicesUp is set.
	create    func(n int) (tally, error)
	present   func() (tally, error) // what a new namespace has, which counts, too; nil if that is nothing
	pairs     bool                  // entries are created in pairs, so there may be one more than n
	remove    func()                // what does not end with the namespace; nil if there is nothing
	devicesUp bool

	// These decode a record for the two libraries that have no types for it.
	decode         func(nldump.Message) (words, error)
	decodeMdlayher func(netlink.Message) (words, error)

	others []reader
}

// A reader reads a table in a process of its own. The process is this program,
// or another program that prints text: a line for each record, or its tally.
type reader struct {
	name string
	read func(context.Context, *tally) error

	// The other program: of iproute2, where "" is ip, conntrack, or one of builtPrograms.
	program string
	args    []string
	parse   func(line string, devices map[string]uint32) (words, error) // nil if it prints a tally
}

// tables returns all tables that are compared.
func tables() []*table { return []*table{routes, neighbours, conntrack, policies, sockets, links} }

// readers returns all readers of the table, ours first.
func (t *table) readers() []reader {
	return append([]reader{
		{name: figure.Bulkdump, read: t.readBulkdump},
		{name: figure.Pages, read: t.readPages},
		{name: figure.BareLoop, read: t.readBare},
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
	return t.readStream(ctx, s, sum)
}

func (t *table) readStream(ctx context.Context, s *nldump.Stream, sum *tally) error {
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

// readPages takes whole pages, as a program does that decodes them elsewhere.
func (t *table) readPages(ctx context.Context, sum *tally) error {
	s, err := nldump.Dial(t.protocol, nldump.Config{})
	if err != nil {
		return err
	}
	defer s.Close()
	for p, err := range s.Pages(ctx, nldump.Dump{Request: t.request}) {
		if err != nil {
			return err
		}
		for m := range p.Records() {
			w, err := t.decode(m)
			if err != nil {
				p.Release()
				return err
			}
			sum.add(w)
		}
		p.Release()
	}
	return nil
}

// readExecute follows the library's documentation: Execute, then an
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

// readReceiveIter is the fastest way to use the library: a buffer as large as a
// page, and one message at a time.
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

// ofFamily returns a fixed header of that size for a request. As in most
// headers, the address family comes first.
func ofFamily(size int) []byte {
	b := make([]byte, size)
	b[0] = unix.AF_INET
	return b
}
