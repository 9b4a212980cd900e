// SPDX-License-Identifier: GPL-2.0-only
/*
 * The right to change the table, which takes memory, and to choose a cursor that
 * is here for comparison, which may cost others more than its reader.
 */

#include <linux/capability.h>
#include <linux/moduleparam.h>

#include "rights.h"

static bool userns_admin;
module_param(userns_admin, bool, 0444);
MODULE_PARM_DESC(userns_admin, "let CAP_NET_ADMIN in the user namespace that owns a network namespace do there what needs it in the initial one (default: no)");

/*
 * No flag of the operations says so, because which one is right
 * (GENL_ADMIN_PERM or GENL_UNS_ADMIN_PERM) depends on the parameter, and
 * because the core refuses without a text.
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
