// SPDX-License-Identifier: BSD-3-Clause

// Package client is the Go API of the bulkdump family: a table in the kernel, one
// per network namespace, that you dump over generic netlink.
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
// [Client.Dump] yields entries that you may keep. [Client.Records] yields the
// same dump without an allocation per record: it lends one [Record] again and
// again. [Client.Columns] lends a page at a time, as arrays. All stream: the table is
// never held in memory. Package
// [bulkdump/client/nldump] has the loop below them, and says what it checks.
//
// # A table that changes
//
// A dump of a table that changes meanwhile ends with [ErrInterrupted]. Each entry
// that was there throughout came exactly once, but the entries together may not
// be a state that the table ever had. [Client.Sync] goes on with what changed,
// until nothing did. So it makes the exact table of one generation, as a stream
// and in constant memory; [Client.Snapshot] collects it. Both can continue later
// from the generation that they ended in. [Client.DumpParallel] is a dump over
// several sockets.
//
// # Changes
//
// [Client.Watch] yields the changes of the table as they are made, and says when
// some were lost. [Client.OpenWatch] returns once it has subscribed, so that a
// dump that is started then misses nothing. Package [bulkdump/client/mirror] puts
// both together: a copy of the table in memory that stays right.
//
// # Errors
//
// Use errors.Is to find an errno of the kernel: os.ErrNotExist (no such entry),
// os.ErrExist (the id is taken), os.ErrPermission (see below), or any unix.E….
// The kernel's explanation (extack) and the name of the offending attribute are
// part of the message, and fields of [Error]. The other errors of a dump are
// those of nldump. [ErrInterrupted] and [ErrTruncated] are repeated here because
// every reader must decide what to do about them.
//
// # Rights
//
// Everybody may read: Get, Table, events, and dumps with the key cursor. You need
// CAP_NET_ADMIN in the initial user namespace to change the table, or to dump it
// with another cursor. If the module is loaded with userns_admin=1, CAP_NET_ADMIN
// in the user namespace that owns the network namespace is enough. Both the
// process that opened the socket and the one that sends the request need it.
//
// # Sockets
//
// Requests share one socket. Each dump has a socket of its own while it runs, so
// that dumps and requests never wait for each other. (A Sync has one for all its
// passes, a DumpParallel as many as you ask for.) The socket is used again after
// a dump that was read to its end. If you leave the loop early, if the context is
// cancelled, or after an error, it is closed, and the kernel frees what the dump
// held. Each Watcher has a socket for events.
//
// A Client is safe for concurrent use.
package client
