// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"debug/elf"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The messages of nfnetlink's subsystems that dump, by module. One cannot
// simply try others: in a request that is not a dump, the bits of NLM_F_DUMP
// mean NLM_F_REPLACE and NLM_F_EXCL.
var netfilter = map[string][]struct {
	subsystem uint16
	name      string
	dumps     map[uint16]string
}{
	"nf_conntrack_netlink": {
		{1, "ctnetlink", map[uint16]string{1: "get", 3: "get-ctrzero", 4: "get-stats-cpu", 6: "get-dying", 7: "get-unconfirmed"}},
		{2, "ctnetlink-exp", map[uint16]string{1: "get", 3: "get-stats-cpu"}},
	},
	"nfnetlink_queue":     {{subsystem: 3, name: "queue"}},
	"nfnetlink_log":       {{subsystem: 4, name: "log"}},
	"nfnetlink_osf":       {{subsystem: 5, name: "osf"}},
	"ip_set":              {{6, "ipset", map[uint16]string{7: "list", 8: "save"}}},
	"nfnetlink_acct":      {{7, "acct", map[uint16]string{1: "get", 2: "get-ctrzero"}}},
	"nfnetlink_cttimeout": {{8, "cttimeout", map[uint16]string{1: "get"}}},
	"nfnetlink_cthelper":  {{9, "cthelper", map[uint16]string{1: "get"}}},
	"nf_tables": {{10, "nftables", map[uint16]string{1: "gettable", 4: "getchain", 7: "getrule", 10: "getset", 13: "getsetelem",
		19: "getobj", 21: "getobj-reset", 23: "getflowtable", 25: "getrule-reset", 33: "getsetelem-reset"}}},
	"nft_compat":     {{subsystem: 11, name: "compat"}},
	"nfnetlink_hook": {{12, "hook", map[uint16]string{0: "get"}}},
}

// netfilters makes rows of the subsystems of nfnetlink. It is an error if a
// module registers one that is unknown here.
func netfilters(t *testing.T, w *world) (rows []dump) {
	t.Helper()
	users, err := callers("nfnetlink_subsys_register")
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range users {
		if netfilter[module] == nil {
			t.Errorf("module %s has a subsystem of nfnetlink that this test does not know", module)
		}
	}
	for _, module := range slices.Sorted(maps.Keys(netfilter)) {
		for _, s := range netfilter[module] {
			for _, message := range slices.Sorted(maps.Keys(s.dumps)) {
				d := dump{family: "nfnetlink " + s.name, command: s.dumps[message]}
				typ := s.subsystem<<8 | message
				for _, ask := range w.asks(d.family, d.command) {
					d.note = ask.note
					header := ask.header
					if len(header) == 0 {
						header = make([]byte, 4)
					}
					d.request = request{unix.NETLINK_NETFILTER, typ, slices.Concat(header, ask.attrs)}
					rows = append(rows, d)
				}
			}
		}
	}
	return rows
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
