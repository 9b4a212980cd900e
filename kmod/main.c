// SPDX-License-Identifier: GPL-2.0-only
/* Load and unload. */

#include <linux/module.h>

#include "changelog.h"
#include "guard.h"
#include "names.h"
#include "netlink_gen.h"
#include "netns.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static int __init bulkdump_init(void)
{
	int err;

	err = bulkdump_guard_check();
	if (err)
		return err;
	err = bulkdump_changelog_check();
	if (err)
		return err;
	err = bulkdump_names_init();
	if (err)
		return err;
	err = bulkdump_netns_register();
	if (err)
		return err;
	/* Last: requests come from here on. */
	err = genl_register_family(&bulkdump_nl_family);
	if (err)
		bulkdump_netns_unregister();
	return err;
}

/*
 * No dump is open: each holds a reference to the module until its done(). The
 * module has no RCU callbacks: kvfree_rcu() frees the entries.
 */
static void __exit bulkdump_exit(void)
{
	genl_unregister_family(&bulkdump_nl_family);
	bulkdump_netns_unregister();
}

module_init(bulkdump_init);
module_exit(bulkdump_exit);

MODULE_ALIAS_GENL_FAMILY(BULKDUMP_FAMILY_NAME);
MODULE_DESCRIPTION("A large table, and the reference way to dump it over generic netlink");
MODULE_LICENSE("GPL");
MODULE_VERSION("1");
