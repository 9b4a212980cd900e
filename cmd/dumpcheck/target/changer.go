// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// MostObjects is how many objects a built-in changer has, and the most that Fill makes.
const MostObjects = 4096

// A slot is an object's place in a table that is sorted by it, from 1 on. Fill uses
// even ones and a changer odd ones, so that each object of a changer lies between two of
// Fill's, or at an end.
type slot uint32

// slotOf is the slot of a changer's object.
func slotOf(n int) slot {
	switch n {
	case 0:
		return 1
	case 1:
		return 2*MostObjects + 1
	}
	return 2*slot(bits.Reverse16(uint16(n-1))>>4) + 1 // the halves first, then the quarters
}

// A table is a changer that sends messages.
type table struct {
	protocol         int
	prepare          func(*table) error // once, before the first change
	add, remove, set func(*table, slot) error
	open             *conn
	flip             uint32        // changes with each Set
	names            map[slot]bool // links: those that are renamed
	kind             string        // of links
}

// Add implements Changer.
func (t *table) Add(n int) error { return t.do(n, t.add) }

// Remove implements Changer.
func (t *table) Remove(n int) error { return t.do(n, t.remove) }

// Set implements Changer.
func (t *table) Set(n int) error {
	if t.set == nil {
		return fmt.Errorf("nothing of a record can be changed in place: %w", errors.ErrUnsupported)
	}
	t.flip++
	return t.do(n, t.set)
}

func (t *table) do(n int, change func(*table, slot) error) error {
	if n < 0 || n >= MostObjects {
		return fmt.Errorf("object %d: there are %d: %w", n, MostObjects, errors.ErrUnsupported)
	}
	if err := t.dial(); err != nil {
		return err
	}
	return change(t, slotOf(n))
}

// dial opens the socket, in the namespace of the calling thread.
func (t *table) dial() error {
	if t.open != nil {
		return nil
	}
	c, err := dial(t.protocol)
	if err != nil {
		return err
	}
	t.open = c
	if t.prepare != nil {
		if err := t.prepare(t); err != nil {
			t.open = nil
			return err
		}
	}
	return nil
}

func (t *table) fill(n int) error {
	if err := t.dial(); err != nil {
		return err
	}
	for i := range n {
		// An object that is there is another target's: several may be of one table.
		if err := t.add(t, slot(2*(i*MostObjects/n)+2)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("object %d of %d: %w", i+1, n, err)
		}
	}
	return nil
}

// send sends a request, and waits for the acknowledgement.
func (t *table) send(typ uint16, flags int, header []byte, attrs ...[]byte) error {
	data := header
	for _, a := range attrs {
		data = append(data, a...)
	}
	return t.open.do(nldump.Message{Type: typ, Flags: unix.NLM_F_ACK | uint16(flags), Data: data})
}

const (
	create  = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	replace = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
)

// changerOf returns how the target's table is changed; nil if that is not known.
func changerOf(t *Target) Changer {
	if t.Generic != nil {
		return genericChanger(t.Generic)
	}
	six := under(t.Family, "rtnetlink inet6")
	switch {
	case six || t.Family == "rtnetlink" || under(t.Family, "rtnetlink inet"):
		switch t.Command {
		case "getlink", "getnetconf", "getneightbl", "getstats":
			return links(false)
		case "getqdisc":
			return links(true)
		case "getaddr":
			return addresses(six)
		case "getroute":
			return routes(six)
		case "getrule":
			return rules(six)
		case "getneigh":
			if t.Note == "" {
				return neighbours(six)
			}
		case "getnexthop":
			return nexthops()
		case "getaddrlabel":
			return labels()
		}
	case t.Family == "nfnetlink nftables":
		return nftables(t.Command)
	}
	return nil
}

// CanFill tells whether Fill can make the target's table.
func (t *Target) CanFill() bool {
	_, ok := t.Changer.(*table)
	return ok
}

// Fill makes n objects in the target's table, besides those of its Changer, for a
// network namespace that nobody else uses (OwnNamespace): it does not remove them. A
// target that is Home can only be filled in the first one. The error is an
// errors.ErrUnsupported if it is not known how, or if the kernel lacks what is needed.
func (t *Target) Fill(n int) error {
	f, ok := t.Changer.(*table)
	switch {
	case !ok:
		return fmt.Errorf("%v: nothing is known that fills its table: %w", t, errors.ErrUnsupported)
	case n < 0 || n > MostObjects:
		return fmt.Errorf("%v: %d objects: want at most %d", t, n, MostObjects)
	}
	if err := f.fill(n); err != nil {
		return fmt.Errorf("%v: fill its table: %w", t, err)
	}
	return nil
}
