/* SPDX-License-Identifier: GPL-2.0-only */
/* Who may change the table, and choose a cursor that costs others much. */
#ifndef BULKDUMP_RIGHTS_H
#define BULKDUMP_RIGHTS_H

#include <net/sock.h>

/* What a refusal names, when bulkdump_may_administer() says no. */
#define BULKDUMP_RIGHT							\
	"CAP_NET_ADMIN in the initial user namespace, or, with the module parameter userns_admin, in the one that owns the network namespace"

/* Have both the sender of the request and the opener of its socket the right? */
bool bulkdump_may_administer(const struct sk_buff *request);
/* -EPERM, with extack, for a request to change the table without it. */
int bulkdump_check_change(const struct sk_buff *request,
			  struct netlink_ext_ack *extack);

#endif /* BULKDUMP_RIGHTS_H */
