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
//   - [Stream.Do] takes a request that is no dump, and yields all that answers it.
//
// [Messages] walks the records of a page, [Message.Attrs] and [Attrs] the
// attributes of a record. [Stream.Family] finds a generic family and its
// multicast groups by name.
//
// # What is checked
//
// A loop that ends without an error has seen the whole dump, from a table that
// did not change meanwhile. Everything else is an error:
//
//   - [ErrInterrupted]: the kernel said that the table changed during the
//     dump (NLM_F_DUMP_INTR on any record or on NLMSG_DONE), or a generation in
//     the records did (Dump.Generation). It comes last: all records were
//     delivered before it. Not each family tells; see below.
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
// What makes a message a record is its type, its sequence number and its port id.
// NLM_F_MULTI says nothing: some dumps of netdev and ethtool go without.
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
// A stream on a real socket reads an acknowledgement before its first dump, so
// the first page is as large as those that follow: one exchange for each socket.
//
// # Records that are larger than a page
//
// A record that does not fit into an empty page of 32 KiB ends the dump. Most
// families say so: the error is EMSGSIZE, in a [KernelError]. Four dumps of
// rtnetlink do not, on kernels since 6.9: they end as if they were whole, and
// nothing in what the kernel sends tells the difference
// (net/core/rtnetlink.c:rtnl_dumpit, RTNL_FLAG_DUMP_SPLIT_NLM_DONE). They are
// links, IPv4 addresses, and IPv4 and IPv6 routes. How to ask so that none is lost:
//
//   - Links: send IFLA_EXT_MASK, with RTEXT_FILTER_SKIP_STATS for instance. With
//     a mask the kernel measures all links and makes its pages as large as the
//     largest (rtnl_calcit). A link with hundreds of alternative names is larger
//     than 32 KiB.
//   - Routes and addresses: ask with AF_UNSPEC for those of all address families.
//     That dump fails with EMSGSIZE (rtnl_dump_all). A route with 2,000 nexthops is
//     larger than 32 KiB; made of nexthop objects, it is not.
//
// # Families with ways of their own
//
// A request that the kernel ignores is an error at once, because it is sent with
// NLM_F_ACK. An empty datagram is no end: nl80211 and nl802154 ask so to be read
// again, for a larger page. For a family whose answers have no sequence number or
// port id, set Dump.Unaddressed; for one that acknowledges first and answers
// later, Dump.NoAck. For events on the dump's socket, set Dump.Foreign.
//
// # Early end
//
// A loop may be left at any time. The kernel then keeps the dump parked at its
// place, and the socket refuses a new one (EBUSY). [Config].Abandon chooses:
// leave it so, until [Stream.Drain] reads it to its end or [Stream.Close]
// abandons it ([Stream.Idle] tells whether one of them is needed); close the
// socket, and open another for the next dump; or drain it at once. None of them
// waits for an end that cannot come.
//
// A Stream is for one goroutine at a time; only Close may be called from any.
//
// # Use it from another module
//
// Command go get fetches no module whose path has no dot, so use it from a
// checkout, say in ../bulkdump. In your module's directory, require it and
// replace it:
//
//	go mod edit -require=bulkdump/client@v0.0.0 -replace=bulkdump/client=../bulkdump/client
//	go mod tidy
//
// Or leave go.mod alone, and make a workspace of the two:
//
//	go work init . ../bulkdump/client
//
// In the checkout, make module-path gives the module another path.
package nldump
