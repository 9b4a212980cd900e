// SPDX-License-Identifier: BSD-3-Clause

// Package client is the Go API of the bulkdump family: a table in the kernel,
// one per network namespace, that is dumped over generic netlink.
//
//	c, err := client.Dial(client.Config{})
//	if err != nil {
//		return err // errors.Is(err, client.ErrNoFamily): is the module loaded?
//	}
//	defer c.Close()
//
//	for e, err := range c.Dump(ctx, client.DumpOptions{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(e.ID, e.Name)
//	}
//
// [Client.Dump] yields entries that the caller may keep. [Client.Records]
// yields the same dump without an allocation per record, by lending one
// [Record]. Both stream: the table is never held in memory. Package
// [bulkdump/client/nldump] has the loop beneath them and says what it checks.
//
// # A table that changes
//
// A dump of a table that changes meanwhile ends with [ErrInterrupted]: what was
// there throughout came exactly once, but all of it together may be no state that
// the table ever had. [Client.Sync] goes on with what changed, until nothing did,
// and so makes the exact table of one generation, as a stream and in constant
// memory; [Client.Snapshot] collects it. Both can go on later from a generation
// that they ended in. [Client.DumpParallel] is a dump over several sockets.
//
// # Changes
//
// [Client.Watch] yields the changes of the table as they are made, and says when
// some were lost. [Client.OpenWatch] subscribes at once, so that a dump which is
// started then misses nothing. [Client.Mirror] puts both together: a copy of the
// table in memory that stays right, however fast the table changes.
//
//	m, err := c.Mirror(ctx, client.MirrorOptions{})
//	...
//	defer m.Close()
//	if err := m.Synced(ctx); err != nil { // it is the table of m.Generation()
//		return err
//	}
//	e, ok := m.Get(7)
//
// Each change of the table has a generation, and what is told of an entry twice,
// by an event and by a dump, is compared by it. So a mirror dumps while it reads
// events, on two sockets. Where a generation is missing, or the kernel says that
// events were lost, it dumps what changed since the last generation up to which
// nothing is missing, and the whole table only if the kernel's log of changes
// does not reach back so far. While changes come faster than they can be read it
// is some of these dumps behind, and when they end it is the exact table with the
// next one. When the module is unloaded it ends: what is loaded later is another
// table.
//
// # Errors
//
// An errno of the kernel is found with errors.Is: os.ErrNotExist (no such
// entry), os.ErrExist (the id is taken), os.ErrPermission (see below), or any
// unix.E…. The kernel's explanation (extack) and the offending attribute's name
// are part of the message, and fields of [Error]. The other errors of a dump are
// nldump's; [ErrInterrupted] and [ErrTruncated] are repeated here because every
// reader must decide what they mean to it.
//
// # Rights
//
// Everybody may read: Get, Table, events, and dumps with the key cursor. To
// change the table, or to dump it with another cursor, takes CAP_NET_ADMIN in the
// initial user namespace. Where the module is loaded with userns_admin=1,
// CAP_NET_ADMIN in the user namespace that owns the network namespace is enough.
// Both who opened the socket and who sends the request need it.
//
// # Sockets
//
// Requests share one socket. Each dump has one of its own while it runs (a Sync
// one for all its passes, a DumpParallel as many as it is told), so that dumps
// and requests never wait for each other; it is used again only after a dump
// that was read to its end. Leaving the loop early, a cancelled context or an
// error closes the dump's socket, upon which the kernel frees what the dump held.
// Each Watcher and each Mirror has a socket for events.
//
// A Client is safe for concurrent use.
package client
