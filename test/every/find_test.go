// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkdump/cmd/dumpcheck/target"
)

// findAll finds the dumps of the thread's namespace, and those of the families that
// exist only in the first one.
func findAll(t *testing.T, w *world, home map[string]*target.Generic) (rows []*target.Target) {
	t.Helper()
	must := func(found []*target.Target, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, found...)
	}
	for _, name := range slices.Sorted(maps.Keys(home)) {
		for _, d := range home[name].Dumps(w.asks) {
			d.Home = w.families[name] == nil
			rows = append(rows, d)
		}
	}
	must(target.Rtnetlink(w.asks, nil))
	must(netfilters(t, w), nil)
	must(target.SockDiag(func(*target.Target) bool { return true }))
	must(target.Others(w.protocols))
	return rows
}

// families returns the families of generic netlink, by name.
func families(t *testing.T) map[string]*target.Generic {
	t.Helper()
	all, err := target.Families(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*target.Generic{}
	for _, g := range all {
		byName[g.Name] = g
	}
	return byName
}

// netfilters returns the dumps of nfnetlink. It is an error if a module registers a
// subsystem that is unknown.
func netfilters(t *testing.T, w *world) []*target.Target {
	t.Helper()
	users, err := callers("nfnetlink_subsys_register")
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Collect(maps.Values(target.NetfilterSubsystems()))
	for _, module := range users {
		if !slices.Contains(known, module) {
			t.Errorf("module %s has a subsystem of nfnetlink that is not known", module)
		}
	}
	return target.Netfilter(w.asks)
}

// callers returns the modules in the guest that call a function of the kernel.
// There are none if everything is built in.
func callers(function string) (names []string, err error) {
	files, err := filepath.Glob("/lib/modules/*.ko")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		f, err := elf.Open(file)
		if err != nil {
			return nil, err
		}
		symbols, err := f.Symbols()
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Section == elf.SHN_UNDEF && s.Name == function }) {
			names = append(names, strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".ko"), "-", "_"))
		}
	}
	return names, nil
}

// protocolsHere returns the kernel's netlink protocols. It is an error if one has no
// finder.
func protocolsHere(t *testing.T) map[int]bool {
	t.Helper()
	here, err := target.ProtocolsHere()
	if err != nil {
		t.Fatal(err)
	}
	for protocol := range here {
		if _, ok := target.Protocols[protocol]; !ok {
			t.Errorf("the kernel has the protocol %d of netlink, which is not known", protocol)
		}
	}
	return here
}

func u8(n uint8) []byte    { return []byte{n} }
func u16(n uint16) []byte  { return binary.NativeEndian.AppendUint16(nil, n) }
func u32(n uint32) []byte  { return binary.NativeEndian.AppendUint32(nil, n) }
func text(s string) []byte { return append([]byte(s), 0) }
