// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// genericChanger returns how the tables of this project's modules are changed.
func genericChanger(g *Generic) Changer {
	switch g.Name {
	case "bulkdump":
		// entry-new, entry-del, entry-set: id, value, name
		return objects(g, 2, 4, 3, 4, Attr(2, text("dumpcheck")))
	case "bulkdump_broken":
		return objects(g, 2, 3, 2, 2, nil)
	case "bulkdump_min":
		return entries()
	case "bulkdump_nested":
		return parents()
	}
	return nil
}

// objects have an id, which is attribute 1, and a value. The ids lie between those of a
// table that has one at each tenth.
func objects(g *Generic, add, remove, set byte, value uint16, more []byte) *table {
	send := func(t *table, command byte, s slot, attrs ...[]byte) error {
		header := append([]byte{command, byte(g.Version), 0, 0}, Attr(1, u32(5*uint32(s)))...)
		return t.send(g.ID, 0, header, attrs...)
	}
	return &table{
		protocol: unix.NETLINK_GENERIC,
		add:      func(t *table, s slot) error { return send(t, add, s, Attr(value, u32(1)), more) },
		remove:   func(t *table, s slot) error { return send(t, remove, s) },
		set:      func(t *table, s slot) error { return send(t, set, s, Attr(value, u32(2+t.flip))) },
	}
}

const parameters = "/sys/module/"

func write(path, format string, a ...any) error {
	return os.WriteFile(path, fmt.Appendf(nil, format, a...), 0)
}

// entries are made one by one. A table that the module has filled has one at each tenth
// id, too.
func entries() *table {
	const path = parameters + "bulkdump_minimal/parameters/entry"
	return &table{
		protocol: unix.NETLINK_GENERIC,
		add:      func(_ *table, s slot) error { return write(path, "%d 1", 5*s) },
		remove:   func(_ *table, s slot) error { return write(path, "%d", 5*s) },
		set:      func(t *table, s slot) error { return write(path, "%d %d", 5*s, 2+t.flip) },
	}
}

// parents have children, which a parameter makes.
func parents() *table {
	const path = parameters + "bulkdump_nested/parameters/parent"
	return &table{
		protocol: unix.NETLINK_GENERIC,
		add:      func(_ *table, s slot) error { return write(path, "%d 0 3", 5*s) },
		remove:   func(_ *table, s slot) error { return write(path, "%d", 5*s) },
		set:      func(t *table, s slot) error { return write(path, "%d %d 3", 5*s, t.flip%2) },
	}
}
