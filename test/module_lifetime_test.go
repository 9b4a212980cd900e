// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	s := openRaw(t, client.FamilyName, smallBuffer)
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
	s := openRaw(t, client.FamilyName, smallBuffer)
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
	for params, says := range map[string]string{
		"hash_bits=3":                "bulkdump: hash_bits=3 is not in 4..24",
		"hash_bits=25":               "bulkdump: hash_bits=25 is not in 4..24",
		"hash_bits=4294967295":       "bulkdump: hash_bits=4294967295 is not in 4..24",
		"max_entries=10 log_slots=9": "bulkdump: log_slots=9 is less than max_entries",
	} {
		wantNotLoaded(t, "bulkdump", params, says, unix.EINVAL)
	}

	load(t, "bulkdump", "hash_bits=24")
	mustUnload(t, "bulkdump")
	load(t, "bulkdump", "max_entries=10 log_slots=10 hash_bits=4")
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

// wantNotLoaded tries to load a module, and checks that the kernel's log says why that
// fails, if says is not empty.
func wantNotLoaded(t testing.TB, name, params, says string, errnos ...unix.Errno) {
	t.Helper()
	log, err := os.OpenFile("/dev/kmsg", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(moduleDir + name + ".ko")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), params, 0)
	if !slices.ContainsFunc(errnos, func(e unix.Errno) bool { return errors.Is(err, e) }) {
		t.Fatalf("load %s %s: %v, want %v", name, params, err, errnos)
	}
	if says == "" {
		return
	}
	var said strings.Builder
	line := make([]byte, 8<<10)
	for {
		n, err := unix.Read(int(log.Fd()), line)
		if err != nil {
			break
		}
		said.Write(line[:n])
	}
	if !strings.Contains(said.String(), says) {
		t.Errorf("load %s %s: the log says %q, want %q", name, params, said.String(), says)
	}
}

// insmod writes one parameter after the other, and a module whose second one is refused
// has no init and no exit. What the first one made would stay for ever; kernel debug
// looks for it.
func TestModuleParametersMakeNothingBeforeInit(t *testing.T) {
	setup(t)
	for _, tt := range []struct {
		module, params string
		errno          unix.Errno
	}{
		{minimalModule, "entries=50 entry=bad", unix.EINVAL},
		{minimalModule, `entry="7 5"`, unix.ENODEV},
		{nestedModule, `parent="7 0 50" parent=bad`, unix.ENODEV},
	} {
		wantNotLoaded(t, tt.module, tt.params, "", tt.errno)
		load(t, tt.module, "")
		mustUnload(t, tt.module)
	}
}

// A module whose family is there already is not loaded, and leaves nothing behind.
// Here, a template has that family, by another name in its file.
func TestModuleWhoseFamilyIsTaken(t *testing.T) {
	setup(t)
	mustUnload(t, "bulkdump")
	t.Cleanup(func() { load(t, "bulkdump", "") })
	for _, tt := range []struct{ module, params, family, other, variable string }{
		{"bulkdump", "", client.FamilyName, minimalModule, "minimal_family"},
		{minimalModule, "entries=5", minimalFamily, nestedModule, "nested_family"},
		{nestedModule, "", nestedFamily, minimalModule, "minimal_family"},
	} {
		t.Run(tt.module, func(t *testing.T) {
			if err := unix.InitModule(withFamily(t, tt.other, tt.variable, tt.family), ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unload(tt.other) }) // if the test fails
			// For the loader, EEXIST is of a module that is there already, and newer
			// ones give another error instead (kernel/module/main.c:do_init_module).
			wantNotLoaded(t, tt.module, tt.params, "", unix.EEXIST, unix.EBUSY)
			mustUnload(t, tt.other)
			inNewNetNS(t, func() {}) // nothing of the module is in the way
			load(t, tt.module, "")
			dumpFamily(t, tt.family, cmdEntryGet)
			mustUnload(t, tt.module)
		})
	}
}

// withFamily returns the file of a module whose family has another name. The family is
// in a variable of the module.
func withFamily(t testing.TB, module, variable, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(moduleDir + module + ".ko")
	if err != nil {
		t.Fatal(err)
	}
	object, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := object.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name != variable {
			continue
		}
		family := file[object.Sections[s.Section].Offset+s.Value:][:s.Size]
		at := bytes.Index(family, []byte("bulkdump_"))
		if at < 0 {
			t.Fatalf("%s has no name in %x", variable, family)
		}
		const size = 16 // GENL_NAMSIZ
		copy(family[at:at+size], append([]byte(name), make([]byte, size)...))
		return file
	}
	t.Fatalf("%s has no %s", module, variable)
	return nil
}

// The module comes and goes while requests are made. Each is answered, or there is no
// family.
func TestModuleUnloadsUnderRequests(t *testing.T) {
	setup(t)
	var enough atomic.Bool
	var users sync.WaitGroup
	answers := make([]int, 3)
	for nr := range answers {
		c := dial(t)
		users.Go(func() {
			for !enough.Load() {
				var err error
				switch nr {
				case 0:
					_, err = c.Table(t.Context())
				case 1:
					_, err = c.Get(t.Context(), 1)
				case 2:
					_, err = c.New(t.Context(), client.Entry{ID: 1, Name: "n"})
				}
				switch {
				case err == nil, errors.Is(err, unix.EEXIST), nr == 1 && errors.Is(err, os.ErrNotExist) && !errors.Is(err, client.ErrNoFamily):
					answers[nr]++
				case !errors.Is(err, client.ErrNoFamily):
					t.Error(err)
					return
				}
			}
		})
	}
	for range unwatched(50) {
		mustUnload(t, "bulkdump")
		load(t, "bulkdump", "")
	}
	enough.Store(true)
	users.Wait()
	if slices.Min(answers) == 0 {
		t.Errorf("answers by request: %v", answers)
	}
}
