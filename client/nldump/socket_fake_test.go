// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// sockets are the sockets that a stream opens in turn, each with a script.
type sockets struct {
	scripts [][]script.Step
	dialed  []*script.Socket
	before  func() // if not nil, called before each one is opened
}

// dialScripts returns a stream that can open another socket, like one of Dial.
func dialScripts(t testing.TB, cfg nldump.Config, scripts ...[]script.Step) (*nldump.Stream, *sockets) {
	t.Helper()
	k := &sockets{scripts: scripts}
	s, err := nldump.DialWith(k.dial, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, k
}

func (k *sockets) dial() (nldump.Socket, error) {
	if k.before != nil {
		k.before()
	}
	if len(k.scripts) == 0 {
		return nil, unix.EMFILE
	}
	sock := script.New(k.scripts[0]...)
	k.scripts = k.scripts[1:]
	k.dialed = append(k.dialed, sock)
	return sock, nil
}

// closed reports for each socket whether it is closed.
func (k *sockets) closed() (all []bool) {
	for _, s := range k.dialed {
		all = append(all, s.Closed())
	}
	return all
}

// steps is a script.
func steps(s ...script.Step) []script.Step { return s }
