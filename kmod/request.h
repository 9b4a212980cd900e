/* SPDX-License-Identifier: GPL-2.0-only */
/* What a dump's request asks for. */
#ifndef BULKDUMP_REQUEST_H
#define BULKDUMP_REQUEST_H

#include "dump.h"

/* Set what the request asks for, with extack when it is refused. */
int bulkdump_dump_parse(struct bulkdump_dump *dump,
			const struct sk_buff *request,
			const struct genl_info *info);

/* Whether it asks for the entry: if not dump->filtered, it does. */
bool bulkdump_dump_wants(const struct bulkdump_dump *dump,
			 const struct bulkdump_entry *e);

#endif /* BULKDUMP_REQUEST_H */
