// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkdump/client/nldump"
	"bulkdump/cmd/dumpcheck/target"
)

// A result is the outcome of a row.
type result struct {
	outcome
	pagesSmall int // with the smallest buffer; 0 if a record or a page is larger
	moved      int // how often it changed while it was read
	remark     []string
}

// restless limits how long it may take to get the same dump twice, because a
// dump may change by itself: new links send packets for a while, which is long
// on a busy machine.
const restless = time.Minute

// compare reads a row's dump in each way. Before and after that, it reads the
// dump with the reader in C. If the results of those two are equal, the table did
// not change in between, so the other ways must have the same result.
func compare(d *target.Target) (r result, err error) {
	for _, p := range d.Moving {
		r.remark = append(r.remark, "but for "+p.What)
	}
	same := func(record []byte) []byte {
		still := d.Still(record[4:])
		if still == nil {
			return nil
		}
		return append(slices.Clone(record[:4]), still...)
	}
	for begin := time.Now(); ; r.moved++ {
		before, err := readC(d, large)
		if err != nil {
			return r, err
		}
		r.outcome, r.pagesSmall = before, 0
		unaddressed := !before.ownSeq || !before.ownPort
		if unaddressed {
			if _, err := (way{buffer: large}).read(d, false); !errors.Is(err, nldump.ErrProtocol) {
				return r, fmt.Errorf("without Dump.Unaddressed: %v, want ErrProtocol", err)
			}
		}
		diff := ""
		for _, w := range ways {
			o, err := w.read(d, unaddressed)
			if err != nil {
				return r, fmt.Errorf("%s stream: %w", w.name, err)
			}
			r.text = o.text
			if why := before.differ(o, same); why != "" && diff == "" {
				diff = w.name + " stream: " + why
			}
		}
		split, why, err := r.compareSmall(d, unaddressed, same)
		if err != nil {
			return r, err
		}
		if diff == "" {
			diff = why
		}
		after, err := readC(d, large)
		if err != nil {
			return r, err
		}
		moves := before.differ(after, same)
		switch {
		case moves == "" && diff == "":
			return r, r.judge(d, unaddressed, split)
		case moves == "":
			return r, errors.New(diff)
		case time.Since(begin) > restless:
			return r, fmt.Errorf("it does not come to rest in %d reads: %s", r.moved+1, moves)
		}
	}
}

// compareSmall reads a dump into the smallest buffer, with both readers. If no
// record is too large for it, split says how the dump depends on the size of
// pages, and diff says what is wrong with package nldump.
func (r *result) compareSmall(d *target.Target, unaddressed bool, same func([]byte) []byte) (split, diff string, err error) {
	if r.largest() > goodsize {
		return "", "", nil
	}
	want, errC := readC(d, small)
	got, errGo := way{buffer: small}.read(d, unaddressed)
	switch {
	case errors.Is(errC, errCut) && errors.Is(errGo, errCut):
		return "", "", nil
	case errC != nil || errGo != nil:
		return "", "", fmt.Errorf("with a buffer of %d bytes: in C %v, in Go %v", small, errC, errGo)
	}
	r.pagesSmall = got.pages
	if diff = want.differ(got, same); diff != "" {
		diff = fmt.Sprintf("with a buffer of %d bytes: %s", small, diff)
	}
	return r.differ(want, same), diff, nil
}

// goodsize is the smallest page that the kernel builds with memory pages of 4
// KiB (NLMSG_GOODSIZE).
const goodsize = 3776

// judge checks that there is a reason for everything unusual.
func (r *result) judge(d *target.Target, unaddressed bool, split string) error {
	switch {
	case unaddressed && r.ownPort:
		r.remark = append(r.remark, "Dump.Unaddressed: the sequence is another")
	case unaddressed && !r.ownSeq:
		r.remark = append(r.remark, "Dump.Unaddressed: the sequence is another, the port is 0")
	case unaddressed:
		r.remark = append(r.remark, "Dump.Unaddressed: the port is 0")
	}
	if r.empty > 0 {
		r.remark = append(r.remark, fmt.Sprintf("%d empty pages", r.empty))
	}
	if split != "" {
		why := reason(d, splits)
		if why == "" {
			return fmt.Errorf("it depends on the size of the pages: %s", split)
		}
		r.remark = append(r.remark, why)
	}
	if twice := r.sameKey(d); twice != nil && reason(d, splits) == "" {
		return fmt.Errorf("two records have the same key, %v, such as %x", d.Key, twice)
	}
	if r.errno != 0 {
		r.remark = append(r.remark, r.text)
	}
	if len(r.records) == 0 {
		why := reason(d, reasons)
		if why == "" {
			return fmt.Errorf("no record, and no reason for that is known; %s", r.text)
		}
		r.remark = append(r.remark, why)
	}
	return nil
}

// sameKey returns a record that has no key, or one that came before, if there is one.
func (r *result) sameKey(d *target.Target) (twice []byte) {
	if d.Key.IsZero() {
		return nil
	}
	seen := map[string]bool{}
	for _, record := range r.records {
		m := nldump.Message{Data: record[4:]}
		if _, ok := d.Key.Of(m, d.Header); !ok {
			return record
		}
		d.Key.Each(m, d.Header, func(key string) {
			if seen[key] {
				twice = record
			}
			seen[key] = true
		})
	}
	return twice
}

// reason returns the reason for a row, or for its family.
func reason(d *target.Target, of map[string]string) string {
	for _, key := range []string{d.Name(), d.Family + " " + d.Command, d.Family} {
		if of[key] != "" {
			return of[key]
		}
	}
	return ""
}

// splits are the dumps that depend on the size of pages, and why.
var splits = map[string]string{
	"NLBL_MGMT listall":                   "the kernel loses records after a page's end (netlbl_domhsh_walk)",
	"IOAM6 dump-namespaces":               "the kernel loses a record at each page's end (ioam6_genl_dumpns)",
	"sock_diag tipc":                      "the kernel sends an empty record for the one that does not fit at a page's end (__tipc_add_sock_diag)",
	"sock_diag netlink":                   "the kernel loses a record at each page's end (netlink/diag.c:__netlink_diag_dump)",
	"fou get":                             "the kernel loses a record at each page's end (fou_nl_get_dumpit)",
	"nlctrl getpolicy":                    "the kernel sends an empty record at a page's end (ctrl_dumppolicy)",
	"rtnetlink getneightbl":               "the kernel repeats a table's record in each page (neightbl_dump_info)",
	"rtnetlink inet getneightbl":          "the kernel repeats a table's record in each page (neightbl_dump_info)",
	"rtnetlink inet6 getneightbl":         "the kernel repeats a table's record in each page (neightbl_dump_info)",
	"rtnetlink getstats":                  "the kernel splits a record at a page's end",
	"rtnetlink bridge getmdb":             "a record is as large as its page",
	"rtnetlink bridge getvlan":            "a record is as large as its page",
	"nfnetlink ipset list":                "a record is as large as its page",
	"nfnetlink ipset save":                "a record is as large as its page",
	"nfnetlink nftables getsetelem":       "a record is as large as its page",
	"nfnetlink nftables getsetelem-reset": "a record is as large as its page",
	"wireguard get-device":                "a record is as large as its page",
}

// reasons say why a dump has no record, or is refused.
var reasons = map[string]string{
	"802.15.4 MAC":                        "no key of 802.15.4 is set",
	"IPVS get-daemon":                     "no daemon runs",
	"SMC_GEN_NETLINK":                     "no device can do SMC",
	"SMC_PNETID get":                      "no device can do SMC",
	"TIPCv2":                              "the node is alone",
	"batadv":                              "the mesh has one node",
	"dev-energymodel":                     "the processors have no model of their energy",
	"devlink":                             "no device of a guest's has a devlink",
	"drbd":                                "no device is replicated",
	"ethtool":                             "virtual devices have none",
	"gtp getpdp":                          "no tunnel is there",
	"net-shaper":                          "no device can shape",
	"netdev":                              "no driver here tells of it",
	"nfc":                                 "no device is there",
	"nfsd":                                "no server runs",
	"sunrpc":                              "no server runs",
	"nl80211":                             "the device is alone",
	"nl802154":                            "no key is set",
	"ovpn peer-get":                       "no peer is there",
	"tcp_metrics get":                     "no connection has left the machine",
	"vdpa":                                "no device is there",
	"audit list-rules":                    "no rule is set",
	"rdma":                                "no device is there",
	"sock_diag get-dccp":                  "the kernel has no DCCP",
	"sock_diag xdp get":                   "no socket is bound",
	"nfnetlink hook":                      "the kernel has no such subsystem",
	"nfnetlink nftables getrule-reset":    "the kernel has no such message",
	"nfnetlink nftables getsetelem-reset": "the kernel has no such message",
	"sock_diag inet dccp":                 "no socket is open",
	"sock_diag inet6 dccp":                "no socket is open",
	"nfnetlink ctnetlink-exp get":         "no connection is expected",
	"nfnetlink ctnetlink get-dying":       "no connection is about to go",
	"nfnetlink ctnetlink get-unconfirmed": "no packet is on its way",
}

// line returns the row of the table.
func (r result) line(d *target.Target) tableRow {
	multi, intr := "-", "no"
	switch {
	case len(r.records) == 0:
	case r.multi == 0:
		multi = "none"
	case r.multi == len(r.records):
		multi = "all"
	default:
		multi = "some"
	}
	if r.interrupted {
		intr = "yes"
	}
	pages := fmt.Sprint(r.pages)
	if r.pagesSmall > 0 {
		pages += fmt.Sprintf("/%d", r.pagesSmall)
	}
	return tableRow{d.Family, d.Title(), len(r.records), pages, multi, intr, strings.Join(r.remark, "; ")}
}
