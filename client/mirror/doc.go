// SPDX-License-Identifier: BSD-3-Clause

// Package mirror keeps a copy of the table in memory that stays right, however
// fast the table changes.
//
//	m, err := mirror.Open(ctx, c, mirror.Options{})
//	...
//	defer m.Close()
//	if err := m.Synced(ctx); err != nil { // it is the table of m.Generation()
//		return err
//	}
//	e, ok := m.Get(7)
//
// A mirror subscribes to the table's events, dumps the table, and then applies
// the events as they come. Each change of the table has a generation. Where an
// event and a dump both tell of an entry, the higher generation counts, so the
// mirror reads both at once, on two sockets.
//
// If a generation is missing, or the kernel says that events were lost, the
// mirror dumps what changed since the last generation up to which nothing is
// missing. It dumps the whole table only if the kernel's log of changes does not
// reach back that far. While changes come faster than they can be read, the
// mirror lags behind; when they stop, the next dump makes it the exact table.
//
// A mirror ends when the module is unloaded: a module that is loaded later has
// another table.
package mirror
