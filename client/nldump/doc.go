// SPDX-License-Identifier: BSD-3-Clause

// Package nldump reads a netlink dump as a stream: any dump, generic netlink
// or not, record by record, in constant memory and without an allocation per
// record.
//
// A dump is a request with NLM_F_DUMP. The kernel answers it with pages
// (datagrams), each of which holds many messages (records); after the last
// one comes NLMSG_DONE. The kernel builds a page when the reader has made
// room for it (net/netlink/af_netlink.c:netlink_recvmsg calls netlink_dump),
// so a reader that streams keeps one page in memory, however large the table.
//
//	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
//	...
//	defer s.Close()
//	for m, err := range s.Records(ctx, req) {
//		if err != nil {
//			return err
//		}
//		use(m.Data) // valid until the next iteration
//	}
//
// # What is checked
//
// A loop over Records that ends without an error has seen the whole dump,
// from a table that did not change meanwhile. Everything else is an error:
//
//   - [ErrInterrupted]: the kernel said that the table changed during the
//     dump (NLM_F_DUMP_INTR on any record or on NLMSG_DONE). It comes last:
//     all records were delivered before it.
//   - [ErrTruncated]: a page did not fit into the buffer.
//   - [ErrOverrun]: the socket's receive queue overflowed (ENOBUFS).
//   - [KernelError]: the kernel refused the dump or ended it early; it holds
//     the errno and what the extended acknowledgement says.
//   - [ErrMalformed], [ErrProtocol], [ErrNoProgress]: the bytes are not those
//     of a correct dump.
//   - the context's error, as soon as the context is done.
//
// # Early end
//
// A loop may be left at any time. The kernel then keeps the dump parked at its
// place, and the socket refuses a new one (EBUSY). [Stream.Drain] reads it to
// its end, [Stream.Close] abandons it; [Stream.Idle] tells whether one of them
// is needed.
//
// A Stream is for one goroutine at a time; only Close may be called from any.
package nldump
