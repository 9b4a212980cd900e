// SPDX-License-Identifier: BSD-3-Clause

package client

import (
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/genetlink/genltest"
	"github.com/mdlayher/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/internal/sockets"
	"bulkdump/client/internal/uapi"
	"bulkdump/client/nldump"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeFamily is the family's number in tests. The records of scripts have it,
// too.
const fakeFamily = script.Type

// A scriptedKernel answers requests with a function, and dumps with scripts.
type scriptedKernel struct {
	answer func(genetlink.Message, netlink.Message) ([]genetlink.Message, error)

	dialed chan *script.Socket // if not nil, gets each socket opened for a dump

	mu       sync.Mutex
	family   uint16 // 0: not registered
	requests int    // sockets opened for requests
	scripts  [][]script.Step
	sockets  []*script.Socket // the sockets opened for dumps
}

// dialFake connects a client to a kernel whose dump sockets each follow a
// script.
func dialFake(t testing.TB, k *scriptedKernel, scripts ...[]script.Step) *Client {
	t.Helper()
	k.family, k.scripts = fakeFamily, scripts
	c, err := dial(sockets.Dialer{Requests: k.dialRequests, Dump: k.dialDump})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (k *scriptedKernel) dialRequests() (*genetlink.Conn, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.requests++
	return genltest.Dial(func(m genetlink.Message, n netlink.Message) ([]genetlink.Message, error) {
		k.mu.Lock()
		family := k.family
		k.mu.Unlock()
		switch {
		case n.Header.Type != unix.GENL_ID_CTRL:
			if uint16(n.Header.Type) != family {
				return nil, genltest.Error(int(unix.ENOENT))
			}
			return k.answer(m, n)
		case family == 0:
			return nil, genltest.Error(int(unix.ENOENT))
		}
		return genltest.ServeFamily(genetlink.Family{ID: family, Version: 1, Name: FamilyName}, nil)(m, n)
	}), nil
}

func (k *scriptedKernel) dialDump(cfg nldump.Config) (*nldump.Stream, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.scripts) == 0 {
		return nil, unix.EMFILE
	}
	s, sock := script.Stream(cfg, k.scripts[0]...)
	k.scripts = k.scripts[1:]
	k.sockets = append(k.sockets, sock)
	if k.dialed != nil {
		k.dialed <- sock
	}
	return s, nil
}

// reply returns the answer to a command, with the attributes.
func reply(cmd uint8, attrs ...[]byte) []genetlink.Message {
	m := genetlink.Message{Header: genetlink.Header{Command: cmd, Version: uapi.Version}}
	for _, a := range attrs {
		m.Data = append(m.Data, a...)
	}
	return []genetlink.Message{m}
}

// entry returns a record of a dump: an entry with the id and other attributes.
func entry(flags uint16, id uint32, attrs ...[]byte) []byte {
	data := append([][]byte{{uapi.CmdEntryGet, uapi.Version, 0, 0}, script.U32(uapi.AttrEntryID, id)}, attrs...)
	return script.Record(flags, data...)
}

func done() []byte { return script.Done(0, 0) }

// encodeRecord returns what the kernel would send for r. Times must not be
// before 1970.
func encodeRecord(r *Record) []byte {
	ns := func(t time.Time) uint64 { return uint64(t.Unix())*1e9 + uint64(t.Nanosecond()) }
	stats := [][]byte{script.U64(uapi.AttrStatsHits, r.Stats.Hits), script.U64(uapi.AttrStatsBytes, r.Stats.Bytes)}
	if !r.Stats.Created.IsZero() {
		stats = append(stats, script.U64(uapi.AttrStatsCreated, ns(r.Stats.Created)))
	}
	if !r.Stats.Updated.IsZero() {
		stats = append(stats, script.U64(uapi.AttrStatsUpdated, ns(r.Stats.Updated)))
	}
	var b []byte
	for _, a := range [][]byte{
		script.U32(uapi.AttrEntryID, r.ID), script.Attr(uapi.AttrEntryName, r.Name, []byte{0}), script.U32(uapi.AttrEntryFlags, r.Flags),
		script.U64(uapi.AttrEntryValue, r.Value), script.Attr(uapi.AttrEntryPayload, r.Payload), script.Attr(uapi.AttrEntryStats, stats...),
		script.U64(uapi.AttrEntryGeneration, r.Generation),
	} {
		b = append(b, a...)
	}
	return b
}
