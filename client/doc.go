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
// # Errors
//
// An errno of the kernel is found with errors.Is: os.ErrNotExist (no such
// entry), os.ErrExist (the id is taken), os.ErrPermission (changes need
// CAP_NET_ADMIN in the user namespace that owns the network namespace), or any
// unix.E…. The kernel's explanation (extack) and the offending attribute's name
// are part of the message, and fields of [Error]. The other errors of a dump are nldump's; [ErrInterrupted] and [ErrTruncated] are
// repeated here because every reader must decide what they mean to it.
//
// # Sockets
//
// Requests share one socket. Each dump has one of its own while it runs (a Sync
// one for all its passes, a DumpParallel as many as it is told), so that dumps and requests never wait for each other; it is used again only
// after a dump that was read to its end. Leaving the loop early, a cancelled
// context or an error closes the dump's socket, upon which the kernel frees
// what the dump held.
//
// A Client is safe for concurrent use.
package client
