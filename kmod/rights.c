// SPDX-License-Identifier: GPL-2.0-only
/*
 * The right to change the table, because that takes memory, and to choose a
 * cursor of compare/, because that may cost others more than its reader.
 */

#include <linux/capability.h>
#include <linux/moduleparam.h>

#include "rights.h"

static bool userns_admin;
module_param(userns_admin, bool, 0444);
MODULE_PARM_DESC(userns_admin, "accept CAP_NET_ADMIN in the user namespace that owns the network namespace, instead of the initial one (default: no)");

/*
 * The operations have no GENL_ADMIN_PERM or GENL_UNS_ADMIN_PERM, because the
 * parameter decides which is right, and because the core refuses without a text.
 */
bool bulkdump_may_administer(const struct sk_buff *request)
{
	return userns_admin ? netlink_net_capable(request, CAP_NET_ADMIN) :
			      netlink_capable(request, CAP_NET_ADMIN);
}

int bulkdump_check_change(const struct sk_buff *request,
			  struct netlink_ext_ack *extack)
{
	if (bulkdump_may_administer(request))
		return 0;
	NL_SET_ERR_MSG(extack, "a change needs " BULKDUMP_RIGHT);
	return -EPERM;
}
