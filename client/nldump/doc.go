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
// # Which loop
//
//   - [Stream.Records] takes a request and lends each record.
//   - [Stream.Dump] does so with what its reader knows of the family: a key
//     that must rise, and a request that goes on after a key.
//   - [Stream.Pages] yields whole pages: to be kept and passed on, in buffers
//     of a [Pool], or lent one after the other, which is the fastest way.
//   - [Stream.Retry] repeats a dump until the table did not change meanwhile.
//
// [Messages] walks the records of a page, [Message.Attrs] and [Attrs] the
// attributes of a record.
//
// # What is checked
//
// A loop that ends without an error has seen the whole dump, from a table that
// did not change meanwhile. Everything else is an error:
//
//   - [ErrInterrupted]: the kernel said that the table changed during the
//     dump (NLM_F_DUMP_INTR on any record or on NLMSG_DONE). It comes last:
//     all records were delivered before it. Not each family tells; see below.
//   - [ErrTruncated]: a page did not fit into the buffer.
//   - [ErrOverrun]: the socket's receive queue overflowed (ENOBUFS).
//   - [ErrStalled]: no page came for as long as Config.StallTimeout.
//   - [KernelError]: the kernel refused the dump or ended it early; it holds
//     the errno and what the extended acknowledgement says.
//   - [ErrMalformed], [ErrProtocol], [ErrNoProgress]: the bytes are not those
//     of a correct dump, or the records not those of one in order.
//   - the context's error, as soon as the context is done.
//
// The kernel tells of a change if the family's dump callback keeps cb->seq up
// to date (include/net/netlink.h:nl_dump_check_consistent), and says of what.
// Of rtnetlink, links do (net/core/rtnetlink.c:rtnl_dump_ifinfo), IPv4
// addresses (net/ipv4/devinet.c:inet_dump_ifaddr) and nexthops; IPv4 routes and
// neighbours do not, nor do sock_diag and the generic netlink controller. A dump
// of theirs is never interrupted, whatever changed.
//
// # Pages and buffers
//
// The kernel makes a page as large as the largest buffer that the socket was
// ever read with, up to 32768 bytes less its overhead (32448), and larger only
// for a record that needs it, which the family announces
// (af_netlink.c:netlink_dump, min_dump_alloc). So with the default buffer of
// 64 KiB a page that does not fit is rare: a network device with hundreds of
// virtual functions makes one. It is an error then, because its end is lost;
// the buffer grows, and the next dump, or the same one where it can be resumed,
// has room.
//
// # Early end
//
// A loop may be left at any time. The kernel then keeps the dump parked at its
// place, and the socket refuses a new one (EBUSY). [Config].Abandon chooses:
// leave it so, until [Stream.Drain] reads it to its end or [Stream.Close]
// abandons it ([Stream.Idle] tells whether one of them is needed); close the
// socket, and open another for the next dump; or drain it at once.
//
// A Stream is for one goroutine at a time; only Close may be called from any.
package nldump
