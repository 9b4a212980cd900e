// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"cmp"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A subsystem of nfnetlink, and its messages that dump. One cannot simply try other
// messages: in a request that is not a dump, the bits of NLM_F_DUMP mean NLM_F_REPLACE
// and NLM_F_EXCL.
type subsystem struct {
	number uint16
	name   string
	dumps  map[uint16]string
	module string // registers it
	words  []string
}

// nfgenmsg is the size of the header of nfnetlink.
const nfgenmsg = 4

var subsystems = []subsystem{
	{1, "ctnetlink", map[uint16]string{1: "get", 3: "get-ctrzero", 4: "get-stats-cpu", 6: "get-dying", 7: "get-unconfirmed"},
		"nf_conntrack_netlink", []string{"conntrack"}},
	{2, "ctnetlink-exp", map[uint16]string{1: "get", 3: "get-stats-cpu"}, "nf_conntrack_netlink", []string{"expect"}},
	{3, "queue", nil, "nfnetlink_queue", nil},
	{4, "log", nil, "nfnetlink_log", nil},
	{5, "osf", nil, "nfnetlink_osf", nil},
	{6, "ipset", map[uint16]string{7: "list", 8: "save"}, "ip_set", nil},
	{7, "acct", map[uint16]string{1: "get", 2: "get-ctrzero"}, "nfnetlink_acct", []string{"nfacct"}},
	{8, "cttimeout", map[uint16]string{1: "get"}, "nfnetlink_cttimeout", nil},
	{9, "cthelper", map[uint16]string{1: "get"}, "nfnetlink_cthelper", nil},
	{10, "nftables", map[uint16]string{1: "gettable", 4: "getchain", 7: "getrule", 10: "getset", 13: "getsetelem",
		19: "getobj", 21: "getobj-reset", 23: "getflowtable", 25: "getrule-reset", 33: "getsetelem-reset"}, "nf_tables", []string{"nft", "nf_tables"}},
	{11, "compat", nil, "nft_compat", nil},
	{12, "hook", map[uint16]string{0: "get"}, "nfnetlink_hook", nil},
}

// NetfilterSubsystems returns the subsystems of nfnetlink that are known, each with the
// module that registers it.
func NetfilterSubsystems() (modules map[string]string) {
	modules = map[string]string{}
	for _, s := range subsystems {
		modules[s.name] = s.module
	}
	return modules
}

// Netfilter returns the dumps of nfnetlink's subsystems, as far as they are known,
// whether this kernel has them or not.
func Netfilter(asks Asks) (targets []*Target) {
	for _, s := range subsystems {
		for _, message := range slices.Sorted(maps.Keys(s.dumps)) {
			t := &Target{
				Family: "nfnetlink " + s.name, Command: s.dumps[message], Protocol: unix.NETLINK_NETFILTER, Header: nfgenmsg,
				Request: nldump.Message{Type: s.number<<8 | message}, words: s.words,
			}
			targets = append(targets, asks.of(t, zeros(nfgenmsg))...)
		}
	}
	return targets
}

// netfilterHere leaves out the subsystems that this kernel does not have. A request to
// one that is missing is refused with EINVAL, after the kernel tried to load its module.
// So what a module could provide that is not loaded is asked for only if load says so.
func netfilterHere(targets []*Target, load func(*Target) bool) (here []*Target, err error) {
	p := newProber()
	has := map[string]bool{}
	for _, t := range targets {
		i := slices.IndexFunc(subsystems, func(s subsystem) bool { return t.Family == "nfnetlink "+s.name })
		if has[t.Family] || loadable(subsystems[i].module) && !load(t) {
			continue
		}
		a, err := p.probe(t)
		if err != nil {
			return nil, err
		}
		has[t.Family] = a.errno != unix.EINVAL
	}
	for _, t := range targets {
		if has[t.Family] {
			here = append(here, t)
		}
	}
	slices.SortStableFunc(here, func(a, b *Target) int { return cmp.Compare(a.Family, b.Family) })
	return here, nil
}
