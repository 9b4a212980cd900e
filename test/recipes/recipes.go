// SPDX-License-Identifier: BSD-3-Clause

// Package recipes has the code that client/README.md and README.md show. Tests
// check that the pages show each function as it is here, and that it works.
package recipes

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/mirror"
	"bulkdump/client/nldump"
)

func Each(ctx context.Context, use func(client.Entry)) error {
	c, err := client.Dial(client.Config{})
	if err != nil {
		return err // errors.Is(err, client.ErrNoFamily): the module is not loaded
	}
	defer c.Close()
	for e, err := range c.Dump(ctx, client.DumpOptions{}) {
		if errors.Is(err, client.ErrInterrupted) {
			break // every entry that stayed was delivered, but some changed meanwhile
		}
		if err != nil {
			return err
		}
		use(e)
	}
	return nil
}

func SumOfValues(ctx context.Context, c *client.Client) (sum uint64, err error) {
	fields := client.FieldValue
	for page, err := range c.Columns(ctx, client.DumpOptions{Fields: &fields}) {
		if err != nil {
			return 0, err
		}
		for _, value := range page.Values { // the arrays are reused: copy what you keep
			sum += value
		}
	}
	return sum, nil
}

func FirstNamed(ctx context.Context, c *client.Client, prefix string, n int) (found []client.Entry, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	o := client.DumpOptions{NamePrefix: prefix}
	for e, err := range c.Dump(ctx, o) {
		if err != nil {
			return nil, err
		}
		if found = append(found, e); len(found) == n {
			break // also ends the dump in the kernel
		}
	}
	return found, nil
}

func ExactTable(ctx context.Context, c *client.Client) ([]client.Entry, uint64, error) {
	s, err := c.Snapshot(ctx, client.SyncOptions{})
	if err != nil {
		return nil, 0, err // client.ErrNotSynced: it changed faster than it can be read
	}
	return s.Entries(), s.Generation, nil
}

func Update(ctx context.Context, c *client.Client, held map[uint32]uint64, since *uint64) (generation uint64, err error) {
	var synced client.Synced
	o := client.SyncOptions{
		Dump:   client.DumpOptions{Since: since}, // nil: the copy is empty
		Reset:  func() { clear(held) },           // since is too old
		Synced: &synced,
	}
	for r, err := range c.Sync(ctx, o) {
		switch {
		case err != nil:
			return 0, err
		case r.Deleted:
			delete(held, r.ID)
		default:
			held[r.ID] = r.Value
		}
	}
	return synced.Generation, nil // the next update's since
}

func Checksum(ctx context.Context, c *client.Client) (sum client.Checksum, err error) {
	o := client.ParallelOptions{Unordered: true}
	for r, err := range c.DumpParallel(ctx, 4, o) {
		if err != nil {
			return 0, err
		}
		sum.Add(r)
	}
	return sum, nil
}

func LogChanges(ctx context.Context, c *client.Client, log func(...any)) error {
	for e, err := range c.Watch(ctx, client.WatchOptions{ReceiveBuffer: 1 << 20}) {
		switch {
		case errors.Is(err, client.ErrOverrun):
			log("some changes were lost here") // the loop goes on
		case err != nil:
			return err
		default:
			log(e.Generation, e.Kind, e.Entry.ID)
		}
	}
	return nil
}

func Replica(ctx context.Context, c *client.Client, use func(*mirror.Mirror)) error {
	m, err := mirror.Open(ctx, c, mirror.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Synced(ctx); err != nil {
		return err
	}
	use(m) // m.Get, m.All, m.Follow, for as long as you like, while the table changes
	return m.Err()
}

func TableOf(ctx context.Context, netns string) (client.Table, error) {
	f, err := os.Open(netns) // /run/netns/blue, /proc/42/ns/net
	if err != nil {
		return client.Table{}, err
	}
	defer f.Close()
	c, err := client.Dial(client.Config{NetNS: int(f.Fd())})
	if err != nil {
		return client.Table{}, err
	}
	defer c.Close()
	return c.Table(ctx)
}

func LinkNames(ctx context.Context) (map[uint32]string, error) {
	s, err := nldump.Dial(unix.NETLINK_ROUTE, nldump.Config{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	// With a mask, the kernel makes pages as large as the largest link. Without
	// one, a link that does not fit ends the dump as if it were complete.
	const skipStats = 8 // RTEXT_FILTER_SKIP_STATS
	attrs := netlink.NewAttributeEncoder()
	attrs.Uint32(unix.IFLA_EXT_MASK, skipStats)
	mask, err := attrs.Encode()
	if err != nil {
		return nil, err
	}
	request := nldump.Message{
		Type: unix.RTM_GETLINK,
		Data: append(make([]byte, unix.SizeofIfInfomsg), mask...),
	}
	names := make(map[uint32]string)
	again := func(int) { clear(names) }
	err = s.Retry(ctx, nldump.Dump{Request: request}, 10, again, func(m nldump.Message) error {
		a := m.Attrs(unix.SizeofIfInfomsg)
		if a.Find(unix.IFLA_IFNAME) {
			names[binary.NativeEndian.Uint32(m.Data[4:])] = string(a.Text())
		}
		return a.Err()
	})
	return names, err
}
