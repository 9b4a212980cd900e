// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// NetLabel numbers the records of each page, starting at the request's sequence
// number.
func TestKernelNumberedRecords(t *testing.T) {
	if os.Getenv("BULKDUMP_GUEST") == "" {
		t.Skip("NetLabel's table is the whole machine's, so this runs in a guest only: make vm-nldump")
	}
	const (
		add, remove, listAll = 1, 2, 3 // NLBL_MGMT_C_ADD …
		domain, protocol     = 1, 2    // NLBL_MGMT_A_DOMAIN …
		unlabeled            = 5       // NETLBL_NLTYPE_UNLABELED
		count                = 300
	)
	// One page holds all records. With several pages, the kernel leaves out
	// records after each one
	// (net/netlabel/netlabel_domainhash.c:netlbl_domhsh_walk).
	whole := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{Abandon: nldump.AbandonClose})
	list := genl(t, whole, "NLBL_MGMT", listAll)
	var adds, removes []netlink.Message
	missing := map[string]bool{}
	for i := range count {
		name := fmt.Sprint("domain", i)
		missing[name] = true
		request := func(cmd byte, attrs ...[]byte) netlink.Message {
			m := create(list.Type, []byte{cmd, list.Data[1], 0, 0}, attrs...)
			m.Header.Flags = netlink.Request
			return m
		}
		adds = append(adds, request(add, script.Text(domain, name), script.U32(protocol, unlabeled)))
		removes = append(removes, request(remove, script.Text(domain, name)))
	}
	change(t, unix.NETLINK_GENERIC, adds...)
	t.Cleanup(func() { change(t, unix.NETLINK_GENERIC, removes...) })

	records, err := readDump(within(t), whole, nldump.Dump{Request: list})
	if len(records) != 1 || !errors.Is(err, nldump.ErrProtocol) || !strings.Contains(err.Error(), "set Dump.Unaddressed") {
		t.Errorf("by default: %d records, %v; want one, and a refusal that names the way", len(records), err)
	}

	d := nldump.Dump{Request: list, Unaddressed: true}
	for m, err := range whole.Dump(within(t), d) {
		if err != nil {
			t.Fatal(err)
		}
		a := m.Attrs(unix.GENL_HDRLEN)
		if !a.Find(domain) || !missing[string(a.Text())] {
			t.Fatalf("a record twice, or of nothing that was made: %x, %v", m.Data, a.Err())
		}
		delete(missing, string(a.Text()))
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d records are missing", len(missing), count)
	}

	s := dialKernel(t, unix.NETLINK_GENERIC, nldump.Config{BufferSize: nldump.MinBufferSize, Abandon: nldump.AbandonDrain})
	for range s.Dump(within(t), d) {
		break // the rest is drained, with its numbers
	}
	n, numbers := 0, map[uint32]bool{}
	for m, err := range s.Dump(within(t), d) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		numbers[m.Seq] = true
	}
	if s.Stats().Pages < 2 || len(numbers) < 2 || len(numbers) == n {
		t.Errorf("%d records in %d pages, %d sequence numbers; want several, which come again in the next page", n, s.Stats().Pages, len(numbers))
	}
	// A strict dump on the same socket also works.
	if records, err := readDump(within(t), s, nldump.Dump{Request: families()}); err != nil || len(records) == 0 {
		t.Errorf("the dump after it: %d records, %v", len(records), err)
	}
}
