// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// Protocols are the protocols of netlink for which a kernel can have a socket, and for
// those without a dump, why they have none.
var Protocols = map[int]string{
	unix.NETLINK_ROUTE: "", unix.NETLINK_SOCK_DIAG: "", unix.NETLINK_XFRM: "", unix.NETLINK_AUDIT: "", unix.NETLINK_NETFILTER: "",
	unix.NETLINK_GENERIC: "", unix.NETLINK_RDMA: "", unix.NETLINK_CRYPTO: "",
	unix.NETLINK_SELINUX:        "it sends events only",
	unix.NETLINK_ISCSI:          "each request has one answer",
	unix.NETLINK_FIB_LOOKUP:     "each request has one answer",
	unix.NETLINK_CONNECTOR:      "it sends events only",
	unix.NETLINK_KOBJECT_UEVENT: "it sends events only",
	unix.NETLINK_SCSITRANSPORT:  "it sends events only",
	unix.NETLINK_ECRYPTFS:       "it sends events only",
}

// ProtocolsHere returns the protocols of netlink for which the kernel has a socket in
// the process's network namespace. It loads no module.
func ProtocolsHere() (map[int]bool, error) {
	text, err := os.ReadFile("/proc/net/netlink")
	if err != nil {
		return nil, fmt.Errorf("protocols of netlink: %w", err)
	}
	here := map[int]bool{}
	for line := range strings.Lines(string(text)) {
		var socket string
		var protocol, port int
		if n, _ := fmt.Sscan(line, &socket, &protocol, &port); n == 3 && port == 0 {
			here[protocol] = true
		}
	}
	return here, nil
}

// small returns the dumps of the protocols that have few, which are known by name. As
// with nfnetlink, one cannot try all requests.
func small() []*Target {
	const getSA, getPolicy, getAlg, listRules = 18, 21, 19, 1013
	return []*Target{
		{Family: "xfrm", Command: "getsa", Protocol: unix.NETLINK_XFRM, Request: nldump.Message{Type: getSA}, Header: 224, words: []string{"states"}},
		{Family: "xfrm", Command: "getpolicy", Protocol: unix.NETLINK_XFRM, Request: nldump.Message{Type: getPolicy}, Header: 168, words: []string{"policies"}},
		{Family: "crypto", Command: "getalg", Protocol: unix.NETLINK_CRYPTO, Request: nldump.Message{Type: getAlg, Data: zeros(208)}, Header: 208, words: []string{"algorithms"}},
		{Family: "audit", Command: "list-rules", Protocol: unix.NETLINK_AUDIT, Request: nldump.Message{Type: listRules}, Header: -1, Home: true, NoAck: true, words: []string{"rules"}},
	}
}

// Others returns the dumps of the other protocols, of those that are here.
func Others(here map[int]bool) (targets []*Target, err error) {
	for _, t := range small() {
		if here[t.Protocol] {
			t.describe()
			targets = append(targets, t)
		}
	}
	if !here[unix.NETLINK_RDMA] {
		return targets, nil
	}
	more, err := rdma()
	return append(targets, more...), err
}

// rdma finds the dumps of RDMA, by client and operation. The operations of the clients
// for port mapping and path records are messages to a daemon.
func rdma() (targets []*Target, err error) {
	const portMapper, pathRecord, devices = 2, 4, 5
	first := append(Attr(1, u32(0)), Attr(3, u32(1))...) // RDMA_NLDEV_ATTR_DEV_INDEX, _PORT_INDEX
	p := newProber()
	for client := uint16(1); client < 64; client++ {
		for op := range uint16(128) {
			name := fmt.Sprintf("client %d op %d", client, op)
			if client == portMapper || client == pathRecord {
				continue
			}
			if client == devices && rdmaCommands[op] != "" {
				name = rdmaCommands[op]
			}
			t := &Target{Family: "rdma", Command: name, Protocol: unix.NETLINK_RDMA, Request: nldump.Message{Type: client<<10 | op, Data: first}, Home: true}
			a, err := p.probe(t)
			if err != nil {
				return nil, err
			}
			// Without the right to use an operation, one does not learn whether it dumps.
			if _, known := rdmaCommands[op]; a.errno != unix.EINVAL && (a.errno != unix.EPERM || known && client == devices) {
				t.describe()
				targets = append(targets, t)
			}
		}
	}
	return targets, nil
}

// loadable reports whether the kernel would have to load a module first, and could.
func loadable(module string) bool {
	if module == "" {
		return false
	}
	if _, err := os.Stat("/sys/module/" + module); err == nil {
		return false
	}
	var uts unix.Utsname
	if unix.Uname(&uts) != nil {
		return false
	}
	files, err := os.ReadFile(path.Join("/lib/modules", unix.ByteSliceToString(uts.Release[:]), "modules.dep"))
	return err == nil && hasModule(string(files), module)
}

// hasModule reports whether a module is in a modules.dep: a line for each file, with
// a colon after it.
func hasModule(dep, module string) bool {
	for line := range strings.Lines(dep) {
		file, _, _ := strings.Cut(line, ":")
		name, _, ok := strings.Cut(path.Base(file), ".ko")
		if ok && strings.ReplaceAll(name, "-", "_") == strings.ReplaceAll(module, "-", "_") {
			return true
		}
	}
	return false
}
