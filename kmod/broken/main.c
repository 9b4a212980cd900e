// SPDX-License-Identifier: GPL-2.0-only
/*
 * A family whose every dump has one bug that a dump of the kernel, or of a module
 * outside of it, once had. It is there for dumpcheck to find. Copy nothing from
 * here.
 *
 * No bug harms the kernel: a use after free is a comparison of pointers here, what
 * leaks is bounded and comes back, and bytes that nobody initialised are random.
 */

#include <linux/module.h>

#include "broken.h"

static struct genl_ops broken_ops[__BROKEN_CMD_MAX] __ro_after_init;

struct genl_family broken_family __ro_after_init = {
	.name		= "bulkdump_broken",
	.version	= 1,
	.netnsok	= true,
	.module		= THIS_MODULE,
	.ops		= broken_ops,
	.resv_start_op	= BROKEN_CMD_SOUND,
	.parallel_ops	= true,
};

static int __init broken_init(void)
{
	static const struct broken_ops *const files[] __initconst = {
		&sound_ops, &ends_ops, &cursors_ops, &held_ops, &changes_ops,
		&headers_ops, &attributes_ops, &requests_ops, &rights_ops,
	};
	size_t file, i;
	int err;

	for (file = 0; file < ARRAY_SIZE(files); file++)
		for (i = 0; i < files[file]->count; i++)
			broken_ops[broken_family.n_ops++] = files[file]->ops[i];
	held_init();
	err = objects_open() ?: genl_register_family(&broken_family);
	if (err) {
		objects_close();
		held_exit();
	}
	return err;
}

static void __exit broken_exit(void)
{
	genl_unregister_family(&broken_family);
	objects_close();
	held_exit();
}

module_init(broken_init);
module_exit(broken_exit);

MODULE_DESCRIPTION("Dumps with one bug each, for dumpcheck to find");
MODULE_LICENSE("GPL");
