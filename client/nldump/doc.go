// SPDX-License-Identifier: BSD-3-Clause

// Package nldump reads a netlink dump as a stream: any dump, generic netlink
// or not, record by record, in constant memory and without an allocation per
// record.
//
// A dump is a request with NLM_F_DUMP. The kernel answers with pages (datagrams) of
// many messages (records) each; after the last one comes NLMSG_DONE. The kernel makes
// the next page when the reader reads one (net/netlink/af_netlink.c:netlink_recvmsg
// calls netlink_dump). So a reader that streams needs memory for one page, however
// large the table is.
//
//	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
//	...
//	defer s.Close()
//	req := nldump.Message{Type: unix.RTM_GETROUTE, Data: make([]byte, unix.SizeofRtMsg)}
//	for m, err := range s.Records(ctx, req) {
//		if err != nil {
//			return err
//		}
//		use(m.Data) // struct rtmsg and attributes, valid until the next iteration
//	}
//
// Data is what follows the netlink header: the header of the family (for generic
// netlink, struct genlmsghdr {command, version, 0, 0}), then attributes, which
// netlink.AttributeEncoder of github.com/mdlayher/netlink encodes. The examples
// (example_*_test.go) have links, routes, nexthops, generic families and sets of
// nf_tables.
//
// # Which loop
//
//   - [Stream.Records] takes a request and lends each record.
//   - [Stream.Dump] is for a reader that knows more about the family: a key that must
//     rise, say, or the request that goes on after a key.
//   - [Stream.Pages] yields whole pages: in buffers of a [Pool], to be kept and passed
//     on, or lent one after the other, which is the fastest way.
//   - [Stream.Retry] repeats a dump until the table did not change meanwhile.
//   - [Stream.Do] takes a request that is no dump, and yields all that answers it.
//
// [Messages] walks the records of a page, [Message.Attrs] and [Attrs] the
// attributes of a record. [Stream.Family] finds a generic family and its
// multicast groups by name.
//
// # What is checked
//
// A loop that ends without an error has seen the whole dump, and the kernel did not
// report that the table changed meanwhile (for the exceptions, see Records that are
// larger than a page). Everything else is an error:
//
//   - [ErrInterrupted]: the kernel said that the table changed during the
//     dump (NLM_F_DUMP_INTR on any record or on NLMSG_DONE), or a generation in
//     the records did (Dump.Generation). It comes last: all records were
//     delivered before it. Not every family tells; see below.
//   - [ErrTruncated]: a page did not fit into the buffer.
//   - [ErrOverrun]: the socket's receive queue overflowed (ENOBUFS).
//   - [ErrStalled]: no page came for as long as Config.StallTimeout.
//   - [KernelError]: the kernel refused the dump or ended it early; it holds
//     the errno and what the extended acknowledgement says.
//   - [ErrMalformed], [ErrProtocol], [ErrNoProgress]: the bytes, or the order of the
//     records, are not those of a correct dump.
//   - the context's error, as soon as the context is done.
//
// The kernel tells of a change if the family's dump callback puts a counter of
// changes into cb->seq and compares it from page to page
// (include/net/netlink.h:nl_dump_check_consistent). So it tells of the changes that
// this counter counts, and of no others. Most families have no counter: the table
// below says which do.
//
// A record is a message with a type of the family, and with the sequence number and
// the port id of the request. NLM_F_MULTI says nothing: some dumps of netdev and
// ethtool do not set it.
//
// # Pages and buffers
//
// The kernel makes a page as large as the largest buffer that the socket was read
// with, up to 32768 bytes less its overhead (32448). A page is only larger if the
// family says that a record needs it (af_netlink.c:netlink_dump, min_dump_alloc). So
// a page that does not fit the default buffer of 64 KiB is rare: a network device
// with hundreds of virtual functions makes one. Such a page is an error, because its
// end is lost. The buffer grows, so that the next dump has room, or the same one, if
// it can be resumed.
//
// A stream on a real socket reads an acknowledgement before its first dump, so that
// the first page is as large as the others. That is one exchange a socket.
//
// # Records that are larger than a page
//
// A record that does not fit an empty page of 32 KiB, or of Config.BufferSize if that
// is less, ends the dump. Most families report it as EMSGSIZE, in a [KernelError].
// Since Linux 6.9, four dumps of rtnetlink do not: links, IPv4 addresses, and IPv4 and
// IPv6 routes. They end as if they were whole, and nothing that the kernel sends tells
// the difference (net/core/rtnetlink.c:rtnl_dumpit, RTNL_FLAG_DUMP_SPLIT_NLM_DONE).
// Ask like this, and no record is lost:
//
//   - Links: send IFLA_EXT_MASK, with RTEXT_FILTER_SKIP_STATS for instance (8, which
//     package unix lacks). With a
//     mask the kernel measures all links and makes pages as large as the largest
//     (rtnl_calcit). A link with hundreds of alternative names is larger than 32 KiB.
//   - Routes and addresses: ask with AF_UNSPEC for those of all address families.
//     That dump fails with EMSGSIZE (rtnl_dump_all). For a route of IPv6 newer
//     kernels send empty pages without end, so the error is [ErrNoProgress]. Linux 6.1
//     leaves out a route of IPv6 that is too large, and nothing tells. A route with
//     2,000 nexthops (1,200 for IPv6) is larger than 32 KiB, unless it is made of
//     nexthop objects.
//
// # Families with ways of their own
//
// A request that the kernel ignores is an error at once, because it is sent with
// NLM_F_ACK. An empty datagram does not end a dump: nl80211 and nl802154 send one to
// get a larger page. Set Dump.Unaddressed for a family whose records do not have the
// sequence number and port id of the request (thermal, NetLabel). Set Dump.NoAck for a
// family that acknowledges first and answers later. Set Dump.Foreign for events on the
// socket of the dump.
//
// # Early end
//
// A loop may be left at any time. The kernel then parks the dump at its place, and
// the socket refuses a new one (EBUSY). [Config].Abandon chooses what to do: leave it,
// until [Stream.Drain] reads it to its end or [Stream.Close] abandons it
// ([Stream.Idle] tells whether one of them is needed); close the socket, and open
// another one for the next dump; or drain it at once.
//
// A Stream is for one goroutine at a time; only Close may be called from any.
//
// # Use it from another module
//
// go get cannot fetch a module whose path has no dot. Use a checkout, in ../bulkdump,
// say. Once your code imports the package, require and replace its module in the
// directory of yours:
//
//	go mod edit -require=bulkdump/client@v0.0.0 -replace=bulkdump/client=../bulkdump/client
//	go mod tidy
//
// Or leave go.mod alone, and make a workspace of the two:
//
//	go work init . ../bulkdump/client
//
// In the checkout, make module-path gives the modules another path.
//
// # Which families tell of a change
//
// A family tells of what its counter counts:
//
//   - Links and their statistics count links that come and go
//     (net/core/dev.c:list_netdevice). A new name, MTU or state of a link does not
//     count. In older kernels netconf and ethtool count links, too.
//   - Addresses count links, and addresses that come and go. A new lifetime
//     counts for IPv6 (net/ipv6/addrconf.c:__ipv6_ifa_notify), not for IPv4
//     (net/ipv4/fib_frontend.c:fib_inetaddr_event). A dump of one link's
//     addresses (ifa_index) has no counter (net/ipv4/devinet.c:inet_dump_addr).
//   - Nexthops and their buckets count every change (net/ipv4/nexthop.c).
//   - nf_tables counts commits, whatever is in them. The dump of set elements takes
//     that counter and never compares it (nf_tables_api.c:nf_tables_dump_set), but
//     its low 16 bits are in each record, for [Dump].Generation.
//   - The dump of netfilter's hooks compares their list, which is a new one after each
//     change (nfnetlink_hook.c:nfnl_hook_dump). It needs [Dump].Unaddressed.
//   - WireGuard counts requests that set something (drivers/net/wireguard:
//     wg_set_device). What a peer does by itself, such as roaming, does not count.
//   - MACsec counts its devices that come and go (drivers/net/macsec.c).
//   - TIPC has no counter. A dump of its names is marked as interrupted if the name
//     where it was to go on is gone (net/tipc/name_table.c).
//   - bulkdump counts every change, also one before the first page.
//
// Some families are not in the table. By their source, batman-adv and NFC have
// counters, and nl802154 compares one that it never sets.
//
// In the table, "told" means that ErrInterrupted came wherever the change was: in a
// record that was sent already, in the next one, or in the last one. "some" means that
// it came for some of these places, "no" for none, and "-" that there is no such
// change. A dump without a change was never interrupted. The column "generation" says
// whether Dump.Generation tells of all changes. The kernels are Debian's.
//
//	family                       kernel    added  removed  changed  generation  changed in place, or why not tried
//	links                        all       told   told     no       -           name, mtu, up, down, alias, address, master, group
//	link statistics              all       told   told     -        -
//	netconf, IPv4                6.1       told   told     no       -           forwarding
//	netconf, IPv4                6.12 7.3  no     no       no       -           forwarding
//	netconf, IPv6                6.1       told   told     no       -           forwarding
//	netconf, IPv6                6.12 7.3  no     no       no       -           forwarding
//	neighbour tables             all       no     no       no       -           base_reachable
//	addresses, IPv4              all       told   told     no       -           lifetime
//	addresses, IPv6              all       told   told     told     -           lifetime
//	addresses of one link, IPv4  all       no     no       no       -           lifetime
//	addresses of one link, IPv6  all       no     no       no       -           lifetime
//	multicast addresses, IPv6    all       no     no       -        -
//	address labels               all       no     no       -        -
//	routes, IPv4                 all       no     no       no       -           mtu
//	routes, IPv6                 all       no     no       no       -           mtu
//	routes, MPLS                 all       no     no       no       -           device
//	rules, IPv4                  all       no     no       -        -
//	rules, IPv6                  all       no     no       -        -
//	neighbours, IPv4             all       no     no       no       -           lladdr
//	neighbours, IPv6             all       no     no       no       -           lladdr
//	nexthops                     all       told   told     told     -           device
//	nexthop buckets              all       told   told     told     -           nexthop of a bucket
//	bridge ports                 all       no     no       no       -           cost
//	bridge vlans                 all       no     no       no       -           one more, one less, untagged
//	fdb                          all       no     no       no       -           port
//	mdb                          6.1       no     no       -        -
//	mdb                          6.12 7.3  no     no       no       -           state
//	qdiscs                       all       no     no       no       -           limit
//	classes                      all       no     no       no       -           rate
//	filters                      all       no     no       no       -           class
//	filter chains                all       no     no       -        -
//	actions                      all       no     no       no       -           verdict
//	nft tables                   all       told   told     told     told        flags
//	nft chains                   all       told   told     told     told        policy
//	nft rules                    all       told   told     told     told        verdict
//	nft sets                     all       told   told     -        told
//	nft set elements             6.1       no     no       -        told
//	nft set elements             6.12 7.3  no     no       no       told        timeout
//	nft objects                  all       told   told     told     told        quota
//	nft flowtables               all       told   told     told     told        devices
//	netfilter hooks              6.1       -      -        -        -           no module nfnetlink_hook
//	netfilter hooks              6.12 7.3  told   told     -        -
//	ipset sets                   all       no     no       no       -           name
//	ipset entries                all       no     no       no       -           timeout
//	conntrack                    all       no     no       no       -           mark
//	conntrack expectations       all       -      -        -        -           not tried; no, by the source
//	xfrm states                  all       no     no       no       -           coa
//	xfrm policies                all       no     no       no       -           action
//	sockets, TCP                 all       no     no       no       -           backlog
//	sockets, UDP                 all       no     no       no       -           peer
//	sockets, Unix                all       no     no       no       -           shutdown
//	sockets, netlink             all       no     no       no       -           group
//	nlctrl                       all       no     no       -        -
//	ethtool linkstate            6.1       told   told     no       -           up
//	ethtool linkstate            6.12 7.3  no     no       no       -           up
//	ethtool features             6.1       told   told     no       -           gso
//	ethtool features             6.12 7.3  no     no       no       -           gso
//	ethtool channels             6.1       told   told     no       -           rx
//	ethtool channels             6.12 7.3  no     no       no       -           rx
//	netdev devices               6.1       -      -        -        -           new in 6.3
//	netdev devices               6.12 7.3  no     no       -        -
//	devlink                      all       -      -        -        -           no kernel here has netdevsim
//	wireguard peers              all       told   told     told     -           endpoint
//	macsec                       all       told   told     no       -           encrypt
//	l2tp tunnels                 all       no     no       -        -
//	l2tp sessions                all       no     no       -        -
//	tipc names                   all       no     some     -        -
//	tipc sockets                 all       no     no       -        -
//	wiphys                       6.1       no     no       no       -           rts
//	wiphys                       6.12 7.3  -      -        -        -           no module mac80211_hwsim
//	wireless interfaces          6.1       no     no       no       -           type
//	wireless interfaces          6.12 7.3  -      -        -        -           no module mac80211_hwsim
//	hwsim radios                 6.1       -      -        -        -           no second page: message too long
//	hwsim radios                 6.12 7.3  -      -        -        -           no module mac80211_hwsim
//	wireless stations            all       -      -        -        -           not tried; no, by the source
//	wireless scan results        all       -      -        -        -           not tried; told, by the source
//	mptcp endpoints              6.1 6.12  -      -        -        -           8 at most: one page
//	mptcp endpoints              7.3       no     no       no       -           backup
//	seg6 hmac                    6.1       -      -        -        -           no second page: message too long
//	seg6 hmac                    6.12 7.3  -      -        -        -           no second page: cannot allocate memory
//	ioam6 namespaces             6.1       -      -        -        -           no second page: message too long
//	ioam6 namespaces             6.12 7.3  no     no       -        -
//	fou ports                    all       no     no       -        -
//	bulkdump                     all       told   told     told     -           value
package nldump
