// SPDX-License-Identifier: BSD-3-Clause

package every

import (
	"maps"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A generic is a generic netlink family, as the controller describes it.
type generic struct {
	name                string
	id                  uint16
	version, headerSize uint32
	dumps               map[uint32]bool
}

// families asks the controller for all families and for the commands that dump.
// These are the ones that it lists as such (CTRL_ATTR_OPS), and those with a
// policy for a dump (CTRL_CMD_GETPOLICY), where the kernel distinguishes a dump
// from a do.
func families(t *testing.T) map[string]*generic {
	t.Helper()
	all := map[string]*generic{}
	for _, a := range control(t, unix.CTRL_CMD_GETFAMILY) {
		g := &generic{dumps: map[uint32]bool{}}
		for a.Next() {
			switch a.Type() {
			case unix.CTRL_ATTR_FAMILY_NAME:
				g.name = string(a.Text())
			case unix.CTRL_ATTR_FAMILY_ID:
				g.id = a.Uint16()
			case unix.CTRL_ATTR_VERSION:
				g.version = a.Uint32()
			case unix.CTRL_ATTR_HDRSIZE:
				g.headerSize = a.Uint32()
			case unix.CTRL_ATTR_OPS:
				for ops := a.Nested(); ops.Next(); {
					var id, flags uint32
					for op := ops.Nested(); op.Next(); {
						switch op.Type() {
						case unix.CTRL_ATTR_OP_ID:
							id = op.Uint32()
						case unix.CTRL_ATTR_OP_FLAGS:
							flags = op.Uint32()
						}
					}
					if flags&unix.GENL_CMD_CAP_DUMP != 0 {
						g.dumps[id] = true
					}
				}
			}
		}
		all[g.name] = g
	}
	for _, g := range all {
		const opPolicy, policyDump = 9, 2 // CTRL_ATTR_OP_POLICY, CTRL_ATTR_POLICY_DUMP
		for _, a := range control(t, unix.CTRL_CMD_GETPOLICY, attr(unix.CTRL_ATTR_FAMILY_ID, u16(g.id))...) {
			for a.Next() {
				if a.Type() != opPolicy {
					continue
				}
				for ops := a.Nested(); ops.Next(); {
					// A command that only dumps is called 0 there
					// (genetlink.c:ctrl_dumppolicy_put_op).
					if modes := ops.Nested(); ops.Type() != 0 && modes.Find(policyDump) {
						g.dumps[uint32(ops.Type())] = true
					}
				}
			}
		}
	}
	return all
}

// control sends a request to the controller with the reader in C. A family
// without a policy yields no records.
func control(t *testing.T, command byte, attrs ...byte) (records []nldump.Attrs) {
	t.Helper()
	header := []byte{command, 1, 0, 0}
	o, err := readC(request{unix.NETLINK_GENERIC, unix.GENL_ID_CTRL, append(header, attrs...)}, large)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range o.records {
		records = append(records, nldump.Parse(r[4+len(header):]))
	}
	return records
}

// generics makes rows of the dumps of the families. Families that exist only in
// the first namespace are read there.
func generics(here, home map[string]*generic, w *world) (rows []dump) {
	for _, name := range slices.Sorted(maps.Keys(home)) {
		g := home[name]
		own := here[name] != nil
		for _, command := range slices.Sorted(maps.Keys(g.dumps)) {
			d := dump{family: name, command: commandName(name, command), home: !own}
			header := append([]byte{byte(command), byte(g.version), 0, 0}, make([]byte, (g.headerSize+3)&^3)...)
			d.request = request{unix.NETLINK_GENERIC, g.id, header}
			for _, ask := range w.asks(name, d.command) {
				d.note = ask.note
				d.data = append(slices.Clone(header), ask.attrs...)
				if len(ask.header) > 0 {
					d.data = slices.Concat(header[:unix.GENL_HDRLEN], ask.header, ask.attrs)
				}
				rows = append(rows, d)
			}
		}
	}
	return rows
}
