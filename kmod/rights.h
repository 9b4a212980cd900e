/* SPDX-License-Identifier: GPL-2.0-only */
/* The right to change the table, and to choose a cursor that costs others. */
#ifndef BULKDUMP_RIGHTS_H
#define BULKDUMP_RIGHTS_H

#include <net/sock.h>

/* The right that bulkdump_may_administer() asks for, in words. */
#define BULKDUMP_RIGHT							\
	"CAP_NET_ADMIN in the initial user namespace, or, with the module parameter userns_admin, in the one that owns the network namespace"

/* Do the sender of the request and the opener of its socket have the right? */
bool bulkdump_may_administer(const struct sk_buff *request);
/* Returns -EPERM, and sets extack, for a request to change without the right. */
int bulkdump_check_change(const struct sk_buff *request,
			  struct netlink_ext_ack *extack);

#endif /* BULKDUMP_RIGHTS_H */
