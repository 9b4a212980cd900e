// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client"
)

// The directory of the project's modules in the guest.
const moduleDir = "/lib/modules/"

// load loads a module. The guest unloads it after the tests.
func load(t testing.TB, name, params string) {
	t.Helper()
	f, err := os.Open(moduleDir + name + ".ko")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), params, 0); err != nil {
		t.Fatalf("load %s %s: %v", name, params, err)
	}
}

// unload fails if there are references. It does not wait for them.
func unload(name string) error { return unix.DeleteModule(name, unix.O_NONBLOCK) }

func mustUnload(t testing.TB, name string) {
	t.Helper()
	var err error
	waitFor(t, name+" unloads", func() bool { err = unload(name); return err == nil })
}

// A parked dump holds the module. When its socket is closed, done() drops the
// reference.
// Rule 18.
func TestModuleStaysWhileDumpIsParked(t *testing.T) {
	const count = 5000
	c := setup(t)
	f := fill(t, c, client.FillOptions{Count: count})
	s := openRaw(t, client.FamilyName, 4<<10)
	s.send(cmdEntryGet, flagDump)
	for range 2 { // before a read, and after it
		if err := unload("bulkdump"); !errors.Is(err, unix.EAGAIN) {
			t.Fatalf("unload during a dump: %v, want EAGAIN", err)
		}
		s.read()
	}
	// The refused unload changed nothing.
	if d := mustDump(t, c, client.DumpOptions{}); d.sum != f.Checksum {
		t.Errorf("checksum %v, want %v", d.sum, f.Checksum)
	}
	s.close()
	mustUnload(t, "bulkdump")
	if _, err := c.Table(t.Context()); !errors.Is(err, client.ErrNoFamily) {
		t.Errorf("a request without the module: %v, want %v", err, client.ErrNoFamily)
	}
	if _, err := dump(t, c, client.DumpOptions{}); !errors.Is(err, client.ErrNoFamily) {
		t.Errorf("a dump without the module: %v, want %v", err, client.ErrNoFamily)
	}
	// The family comes back with another number; the client finds it.
	load(t, "bulkdump", "")
	if d := mustDump(t, c, client.DumpOptions{}); d.count != 0 {
		t.Errorf("%d entries after a new load", d.count)
	}
}

// A finished dump does not hold the module, even if its socket is open.
// Rule 18.
func TestModuleGoesAfterDump(t *testing.T) {
	c := setup(t)
	fill(t, c, client.FillOptions{Count: 5000})
	s := openRaw(t, client.FamilyName, 4<<10)
	s.send(cmdEntryGet, flagDump)
	s.readDump()
	mustUnload(t, "bulkdump") // with entries in the table
	load(t, "bulkdump", "")
}

// If the guest has modprobe, a request for the family by name loads the module.
func TestModuleIsNamedAfterItsFamily(t *testing.T) {
	dial(t)
	module, err := os.ReadFile(moduleDir + "bulkdump.ko")
	if err != nil {
		t.Fatal(err)
	}
	alias := fmt.Sprintf("alias=net-pf-%d-proto-%d-family-%s\x00", unix.AF_NETLINK, unix.NETLINK_GENERIC, client.FamilyName)
	if !bytes.Contains(module, []byte(alias)) {
		t.Errorf("the module has no %q", alias)
	}
}

// hash_bits has bounds, and max_entries bounds the table.
func TestModuleParametersHaveBounds(t *testing.T) {
	setup(t)
	mustUnload(t, "bulkdump")
	for _, params := range []string{"hash_bits=3", "hash_bits=25", "hash_bits=4294967295"} {
		f, err := os.Open(moduleDir + "bulkdump.ko")
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.FinitModule(int(f.Fd()), params, 0); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%s: %v, want EINVAL", params, err)
		}
		f.Close()
	}

	load(t, "bulkdump", "hash_bits=24")
	mustUnload(t, "bulkdump")
	load(t, "bulkdump", "max_entries=10 hash_bits=4")
	c := dial(t)
	if s := state(t, c); s.EntriesMax != 10 {
		t.Errorf("limit of %d, want 10", s.EntriesMax)
	}
	fill(t, c, client.FillOptions{Count: 10})
	before := state(t, c)
	for name, above := range map[string]func() error{
		"new": func() error { _, err := c.New(t.Context(), client.Entry{ID: 10, Name: "eleventh"}); return err },
		"set": func() error {
			_, err := c.Set(t.Context(), client.Change{ID: 10, Name: ptr("eleventh"), Create: true})
			return err
		},
		"fill": func() error { _, err := c.Fill(t.Context(), client.FillOptions{Count: 1, IDStart: 10}); return err },
	} {
		if err := above(); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "max_entries") {
			t.Errorf("%s above the limit: %v, want ENOSPC and max_entries", name, err)
		}
	}
	if after := state(t, c); !reflect.DeepEqual(after, before) {
		t.Errorf("the table went from %+v to %+v", before, after)
	}
	if _, err := c.Delete(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	makeEntry(t, c, client.Entry{ID: 10})
	mustUnload(t, "bulkdump")
	load(t, "bulkdump", "")
}
