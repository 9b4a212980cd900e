// SPDX-License-Identifier: BSD-3-Clause
/*
 * A reader on libmnl, written like libmnl's own examples (rtnl-route-dump.c):
 * compare-libmnl TABLE. It prints the records' number and the checksum of their
 * fields, which tally.go defines.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

static uint64_t records, sum;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void add(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	const uint64_t words[] = { a, b, c, d };
	uint64_t h = 1;

	for (int i = 0; i < 4; i++) {
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	records++;
	sum += h;
}

static uint64_t pack(uint32_t high, uint32_t low)
{
	return (uint64_t)high << 32 | low;
}

/* The attributes of a record, and what an attribute of each type must be. */
struct attrs {
	const struct nlattr **tb;
	const uint8_t *types; /* MNL_TYPE_UNSPEC: not looked at */
	int max;
};

static int attr_cb(const struct nlattr *attr, void *data)
{
	struct attrs *a = data;
	int type = mnl_attr_get_type(attr);

	if (mnl_attr_type_valid(attr, a->max) < 0)
		return MNL_CB_OK;
	if (a->types[type] && mnl_attr_validate(attr, a->types[type]) < 0)
		die("mnl_attr_validate");
	a->tb[type] = attr;
	return MNL_CB_OK;
}

static uint32_t u32(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u32(attr) : 0;
}

static uint64_t lladdr(const struct nlattr *attr)
{
	uint64_t v = 0;

	if (attr && mnl_attr_get_payload_len(attr) == 6)
		memcpy((uint8_t *)&v + 2, mnl_attr_get_payload(attr), 6);
	return be64toh(v);
}

static int route_cb(const struct nlmsghdr *h, void *data)
{
	static const uint8_t types[RTA_MAX + 1] = {
		[RTA_DST] = MNL_TYPE_U32, [RTA_GATEWAY] = MNL_TYPE_U32, [RTA_OIF] = MNL_TYPE_U32,
		[RTA_TABLE] = MNL_TYPE_U32, [RTA_PRIORITY] = MNL_TYPE_U32,
	};
	const struct nlattr *tb[RTA_MAX + 1] = {};
	struct attrs a = { tb, types, RTA_MAX };
	const struct rtmsg *r = mnl_nlmsg_get_payload(h);

	mnl_attr_parse(h, sizeof(*r), attr_cb, &a);
	add(pack(ntohl(u32(tb[RTA_DST])), ntohl(u32(tb[RTA_GATEWAY]))),
	    pack(u32(tb[RTA_TABLE]), u32(tb[RTA_PRIORITY])),
	    pack(u32(tb[RTA_OIF]), (uint32_t)r->rtm_dst_len << 24 | r->rtm_protocol << 16 | r->rtm_scope << 8 | r->rtm_type), 0);
	return MNL_CB_OK;
}

static int neighbour_cb(const struct nlmsghdr *h, void *data)
{
	static const uint8_t types[NDA_MAX + 1] = { [NDA_DST] = MNL_TYPE_U32, [NDA_LLADDR] = MNL_TYPE_BINARY };
	const struct nlattr *tb[NDA_MAX + 1] = {};
	struct attrs a = { tb, types, NDA_MAX };
	const struct ndmsg *n = mnl_nlmsg_get_payload(h);

	mnl_attr_parse(h, sizeof(*n), attr_cb, &a);
	add(pack(ntohl(u32(tb[NDA_DST])), n->ndm_ifindex), lladdr(tb[NDA_LLADDR]) << 16 | n->ndm_state, n->ndm_flags, 0);
	return MNL_CB_OK;
}

static int link_cb(const struct nlmsghdr *h, void *data)
{
	static const uint8_t types[IFLA_MAX + 1] = {
		[IFLA_IFNAME] = MNL_TYPE_NUL_STRING, [IFLA_MTU] = MNL_TYPE_U32, [IFLA_ADDRESS] = MNL_TYPE_BINARY,
	};
	const struct nlattr *tb[IFLA_MAX + 1] = {};
	struct attrs a = { tb, types, IFLA_MAX };
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	uint64_t name[IFNAMSIZ / sizeof(uint64_t)] = {};

	mnl_attr_parse(h, sizeof(*i), attr_cb, &a);
	if (tb[IFLA_IFNAME])
		memcpy(name, mnl_attr_get_str(tb[IFLA_IFNAME]), strnlen(mnl_attr_get_str(tb[IFLA_IFNAME]), sizeof(name)));
	add(pack(i->ifi_index, u32(tb[IFLA_MTU])), lladdr(tb[IFLA_ADDRESS]), be64toh(name[0]), be64toh(name[1]));
	return MNL_CB_OK;
}

static int socket_cb(const struct nlmsghdr *h, void *data)
{
	const struct inet_diag_msg *s = mnl_nlmsg_get_payload(h);

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*s))
		die("a record shorter than its header");
	add(pack(ntohl(s->id.idiag_src[0]), ntohs(s->id.idiag_sport)), pack(s->idiag_state, s->idiag_inode), 0, 0);
	return MNL_CB_OK;
}

/* One direction of a flow. */
struct tuple {
	uint32_t src, dst;
	uint16_t src_port, dst_port;
	uint8_t protocol;
};

static struct tuple tuple_of(const struct nlattr *nest)
{
	static const uint8_t types[CTA_TUPLE_MAX + 1] = {
		[CTA_TUPLE_IP] = MNL_TYPE_NESTED, [CTA_TUPLE_PROTO] = MNL_TYPE_NESTED,
	};
	static const uint8_t ip_types[CTA_IP_MAX + 1] = { [CTA_IP_V4_SRC] = MNL_TYPE_U32, [CTA_IP_V4_DST] = MNL_TYPE_U32 };
	static const uint8_t proto_types[CTA_PROTO_MAX + 1] = {
		[CTA_PROTO_NUM] = MNL_TYPE_U8, [CTA_PROTO_SRC_PORT] = MNL_TYPE_U16, [CTA_PROTO_DST_PORT] = MNL_TYPE_U16,
	};
	const struct nlattr *tb[CTA_TUPLE_MAX + 1] = {}, *ip[CTA_IP_MAX + 1] = {}, *proto[CTA_PROTO_MAX + 1] = {};
	struct attrs a = { tb, types, CTA_TUPLE_MAX }, ip_a = { ip, ip_types, CTA_IP_MAX };
	struct attrs proto_a = { proto, proto_types, CTA_PROTO_MAX };
	struct tuple t = {};

	if (!nest)
		return t;
	mnl_attr_parse_nested(nest, attr_cb, &a);
	if (tb[CTA_TUPLE_IP])
		mnl_attr_parse_nested(tb[CTA_TUPLE_IP], attr_cb, &ip_a);
	if (tb[CTA_TUPLE_PROTO])
		mnl_attr_parse_nested(tb[CTA_TUPLE_PROTO], attr_cb, &proto_a);
	t.src = ntohl(u32(ip[CTA_IP_V4_SRC]));
	t.dst = ntohl(u32(ip[CTA_IP_V4_DST]));
	if (proto[CTA_PROTO_NUM])
		t.protocol = mnl_attr_get_u8(proto[CTA_PROTO_NUM]);
	if (proto[CTA_PROTO_SRC_PORT])
		t.src_port = ntohs(mnl_attr_get_u16(proto[CTA_PROTO_SRC_PORT]));
	if (proto[CTA_PROTO_DST_PORT])
		t.dst_port = ntohs(mnl_attr_get_u16(proto[CTA_PROTO_DST_PORT]));
	return t;
}

static uint32_t ports(const struct tuple *t)
{
	return (uint32_t)t->src_port << 16 | t->dst_port;
}

static int flow_cb(const struct nlmsghdr *h, void *data)
{
	static const uint8_t types[CTA_MAX + 1] = {
		[CTA_TUPLE_ORIG] = MNL_TYPE_NESTED, [CTA_TUPLE_REPLY] = MNL_TYPE_NESTED, [CTA_MARK] = MNL_TYPE_U32,
	};
	const struct nlattr *tb[CTA_MAX + 1] = {};
	struct attrs a = { tb, types, CTA_MAX };
	struct tuple orig, reply;

	mnl_attr_parse(h, sizeof(struct nfgenmsg), attr_cb, &a);
	orig = tuple_of(tb[CTA_TUPLE_ORIG]);
	reply = tuple_of(tb[CTA_TUPLE_REPLY]);
	add(pack(orig.src, orig.dst), pack(reply.src, reply.dst), pack(ports(&orig), ports(&reply)),
	    pack(ntohl(u32(tb[CTA_MARK])), (uint32_t)orig.protocol << 8 | reply.protocol));
	return MNL_CB_OK;
}

static const struct rtmsg route_request = { .rtm_family = AF_INET };
static const struct ndmsg neighbour_request = { .ndm_family = AF_INET };
static const struct nfgenmsg flow_request = { .nfgen_family = AF_INET };
static const struct ifinfomsg link_request = { .ifi_family = AF_UNSPEC };
static const struct inet_diag_req_v2 socket_request = {
	.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_UDP, .idiag_states = -1,
};

static const struct table {
	const char *name;
	int protocol, type;
	const void *request;
	size_t size;
	mnl_cb_t cb;
} tables[] = {
	{ "routes", NETLINK_ROUTE, RTM_GETROUTE, &route_request, sizeof(route_request), route_cb },
	{ "neighbours", NETLINK_ROUTE, RTM_GETNEIGH, &neighbour_request, sizeof(neighbour_request), neighbour_cb },
	{ "conntrack", NETLINK_NETFILTER, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, &flow_request,
	  sizeof(flow_request), flow_cb },
	{ "links", NETLINK_ROUTE, RTM_GETLINK, &link_request, sizeof(link_request), link_cb },
	{ "sockets", NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, &socket_request, sizeof(socket_request), socket_cb },
};

static void dump(const struct table *t)
{
	static char buf[32768]; /* MNL_SOCKET_DUMP_SIZE, since 1.0.5 */
	struct mnl_socket *nl = mnl_socket_open(t->protocol);
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	ssize_t len;
	int ret;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		die("socket");
	h->nlmsg_type = t->type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = 1;
	memcpy(mnl_nlmsg_put_extra_header(h, t->size), t->request, t->size);
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		die("mnl_socket_sendto");
	do {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len < 0)
			die("mnl_socket_recvfrom");
		ret = mnl_cb_run(buf, len, 1, mnl_socket_get_portid(nl), t->cb, NULL);
		if (ret < 0)
			die("mnl_cb_run");
	} while (ret > 0);
	mnl_socket_close(nl);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "-V")) {
		puts("compare-libmnl");
		return 0;
	}
	for (size_t i = 0; argc == 2 && i < sizeof(tables) / sizeof(*tables); i++) {
		if (strcmp(argv[1], tables[i].name))
			continue;
		dump(&tables[i]);
		printf("{\"records\": %" PRIu64 ", \"sum\": %" PRIu64 "}\n", records, sum);
		return 0;
	}
	fprintf(stderr, "usage: compare-libmnl routes|neighbours|conntrack|links|sockets\n");
	return 2;
}
