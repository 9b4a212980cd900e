// SPDX-License-Identifier: BSD-3-Clause
/*
 * A reader on libmnl, written like libmnl's own example (genl-family-get.c):
 * bench-libmnl FAMILY REQUEST CHECK. It has one callback for each message and
 * one for each attribute, which validates the attribute and puts it into an
 * array.
 */

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "bench.h"

static int attr_cb(const struct nlattr *attr, void *data)
{
	const struct nlattr **tb = data;
	int type = mnl_attr_get_type(attr);

	if (mnl_attr_type_valid(attr, ENTRY_MAX) < 0)
		return MNL_CB_OK;
	switch (type) {
	case ENTRY_ID:
	case ENTRY_FLAGS:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
			die("mnl_attr_validate");
		break;
	case ENTRY_NAME:
		if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
			die("mnl_attr_validate");
		break;
	}
	tb[type] = attr;
	return MNL_CB_OK;
}

static uint64_t get_uint(const struct nlattr *attr)
{
	if (mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
		return mnl_attr_get_u32(attr);
	return mnl_attr_get_u64(attr);
}

static int record_cb(const struct nlmsghdr *h, void *data)
{
	struct nlattr *tb[ENTRY_MAX + 1] = {};
	struct record r = {};

	mnl_attr_parse(h, sizeof(struct genlmsghdr), attr_cb, tb);
	if (tb[ENTRY_ID])
		r.id = mnl_attr_get_u32(tb[ENTRY_ID]);
	if (tb[ENTRY_NAME]) {
		r.name = mnl_attr_get_str(tb[ENTRY_NAME]);
		r.name_len = mnl_attr_get_payload_len(tb[ENTRY_NAME]) - 1;
	}
	if (tb[ENTRY_FLAGS])
		r.flags = mnl_attr_get_u32(tb[ENTRY_FLAGS]);
	if (tb[ENTRY_VALUE])
		r.value = get_uint(tb[ENTRY_VALUE]);
	if (tb[ENTRY_GENERATION])
		r.generation = get_uint(tb[ENTRY_GENERATION]);
	sink_add(data, &r);
	return MNL_CB_OK;
}

static void dump(struct sink *s, int family, const char *hex)
{
	static char buf[32768]; /* MNL_SOCKET_DUMP_SIZE, since 1.0.5 */
	struct mnl_socket *nl = mnl_socket_open(NETLINK_GENERIC);
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	uint8_t body[256];
	size_t body_len = unhex(hex, body, sizeof(body));
	ssize_t len;
	int ret;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		die("socket");
	h->nlmsg_type = family;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = 1;
	memcpy(mnl_nlmsg_put_extra_header(h, body_len), body, body_len);
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		die("mnl_socket_sendto");
	do {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len < 0)
			die("mnl_socket_recvfrom");
		ret = mnl_cb_run(buf, len, 1, mnl_socket_get_portid(nl), record_cb, s);
		if (ret < 0)
			die("mnl_cb_run");
	} while (ret > 0);
	mnl_socket_close(nl);
}

int main(int argc, char **argv)
{
	return run_reader(argc, argv, dump);
}
