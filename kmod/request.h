/* SPDX-License-Identifier: GPL-2.0-only */
/* What a dump's request asks for. */
#ifndef BULKDUMP_REQUEST_H
#define BULKDUMP_REQUEST_H

#include "dump.h"

/* Parses the request into @dump. A refusal sets extack. */
int bulkdump_dump_parse(struct bulkdump_dump *dump,
			const struct sk_buff *request,
			const struct genl_info *info);

/* Does the dump ask for the entry? Always true if not dump->filtered. */
bool bulkdump_dump_wants(const struct bulkdump_dump *dump,
			 const struct bulkdump_entry *e);

#endif /* BULKDUMP_REQUEST_H */
