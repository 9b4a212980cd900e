// SPDX-License-Identifier: BSD-3-Clause

// Package sockets is where a client.Client gets its sockets, so that the tests
// of packages that use a Client can give it those of a fake kernel.
package sockets

import (
	"github.com/mdlayher/genetlink"

	"bulkdump/client/nldump"
)

// A Dialer opens the sockets of one network namespace.
type Dialer struct {
	Requests func() (*genetlink.Conn, error)
	Dump     func(nldump.Config) (*nldump.Stream, error)
	Events   func(size int, groups ...uint32) (nldump.PollSocket, error)
}

// Dial is client.Dial with another Dialer. Package client sets it. The result
// is a *client.Client: client imports this package, which cannot name the type.
var Dial func(Dialer) (any, error)
