// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A Generic is a family of generic netlink, as its controller describes it.
type Generic struct {
	ID      uint16
	Name    string
	Version uint32
	Header  int          // bytes of its own header behind struct genlmsghdr
	Ops     map[uint8]Op // by command
}

// An Op is a command of a family.
type Op struct {
	Flags      uint32 // GENL_CMD_CAP_DO, GENL_ADMIN_PERM, …
	DoPolicy   Policy // nil: none is exported
	DumpPolicy Policy
}

// Can tells whether a command has a capability: unix.GENL_CMD_CAP_DUMP, say.
func (o Op) Can(flag uint32) bool { return o.Flags&flag != 0 }

// Families asks the controller for all families that are registered, with their
// policies. It loads no module.
func Families(ctx context.Context) ([]*Generic, error) {
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	all, err := families(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, g := range all {
		if err := g.readPolicies(ctx, s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// families is Families without the policies.
func families(ctx context.Context, s *nldump.Stream) (all []*Generic, err error) {
	for m, err := range s.Records(ctx, control(unix.CTRL_CMD_GETFAMILY)) {
		if err != nil {
			return nil, fmt.Errorf("families of generic netlink: %w", err)
		}
		g, err := decodeFamily(m)
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

// Family asks for the family of that name, which has the kernel load its module.
func Family(ctx context.Context, name string) (*Generic, error) {
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	// Of a name that is none, it has the better error.
	if _, err := s.Family(ctx, name); err != nil {
		return nil, err
	}
	var g *Generic
	for m, err := range s.Do(ctx, control(unix.CTRL_CMD_GETFAMILY, Attr(unix.CTRL_ATTR_FAMILY_NAME, text(name)))) {
		if err != nil {
			return nil, fmt.Errorf("family %s: %w", name, err)
		}
		if m.Type == unix.GENL_ID_CTRL {
			if g, err = decodeFamily(m); err != nil {
				return nil, err
			}
		}
	}
	if g == nil {
		return nil, fmt.Errorf("family %s: %w", name, os.ErrNotExist)
	}
	return g, g.readPolicies(ctx, s)
}

// control is a request to the controller.
func control(command byte, attrs ...[]byte) nldump.Message {
	return nldump.Message{Type: unix.GENL_ID_CTRL, Data: slices.Concat([]byte{command, 1, 0, 0}, slices.Concat(attrs...))}
}

func decodeFamily(m nldump.Message) (*Generic, error) {
	g := &Generic{Ops: map[uint8]Op{}}
	a := m.Attrs(unix.GENL_HDRLEN)
	for a.Next() {
		switch a.Type() {
		case unix.CTRL_ATTR_FAMILY_NAME:
			g.Name = string(a.Text())
		case unix.CTRL_ATTR_FAMILY_ID:
			g.ID = a.Uint16()
		case unix.CTRL_ATTR_VERSION:
			g.Version = a.Uint32()
		case unix.CTRL_ATTR_HDRSIZE:
			g.Header = int(a.Uint32())
		case unix.CTRL_ATTR_OPS:
			for _, op := range a.Nest() {
				var id, flags uint32
				for typ, v := range op.Nest() {
					switch typ {
					case unix.CTRL_ATTR_OP_ID:
						id = v.Uint32()
					case unix.CTRL_ATTR_OP_FLAGS:
						flags = v.Uint32()
					}
				}
				g.Ops[uint8(id)] = Op{Flags: flags}
			}
		}
	}
	if err := a.Err(); err != nil {
		return nil, fmt.Errorf("family %s: %w", g.Name, err)
	}
	return g, nil
}

// readPolicies asks for the policies, of which there are none before 5.7, and of do
// and dump apart before 6.2. It adds the commands that the controller does not list as
// dumps, and that have a policy for one.
func (g *Generic) readPolicies(ctx context.Context, s *nldump.Stream) error {
	policies := map[uint32]Policy{}
	type use struct {
		op       uint8
		do, dump *uint32
	}
	var uses []use
	for m, err := range s.Records(ctx, control(ctrlCmdGetPolicy, Attr(unix.CTRL_ATTR_FAMILY_ID, u16(g.ID)))) {
		if refused := new(nldump.KernelError); errors.As(err, &refused) {
			return nil // it has none
		}
		if err != nil {
			return fmt.Errorf("policies of family %s: %w", g.Name, err)
		}
		for a := m.Attrs(unix.GENL_HDRLEN); a.Next(); {
			switch a.Type() {
			case ctrlAttrOpPolicy:
				for op, kinds := range a.Nest() {
					u := use{op: uint8(op)}
					for kind, index := range kinds.Nest() {
						n := index.Uint32()
						switch kind {
						case ctrlAttrPolicyDo:
							u.do = &n
						case ctrlAttrPolicyDump:
							u.dump = &n
						}
					}
					uses = append(uses, u)
				}
			case ctrlAttrPolicy:
				for index, attrs := range a.Nest() {
					p := policies[uint32(index)]
					if p == nil {
						p = Policy{}
						policies[uint32(index)] = p
					}
					for typ, properties := range attrs.Nest() {
						p[typ] = decodePolicy(properties)
					}
				}
			}
		}
	}
	for _, p := range policies {
		for typ, a := range p {
			if a.HasNested {
				a.Inside = policies[a.Nested]
				p[typ] = a
			}
		}
	}
	// Older kernels call a command 0 that only dumps (ctrl_dumppolicy_put_op). If there
	// is one such command, it is that.
	var only []uint8
	for number, op := range g.Ops {
		if op.Can(unix.GENL_CMD_CAP_DUMP) && !op.Can(unix.GENL_CMD_CAP_DO) && !slices.ContainsFunc(uses, func(u use) bool { return u.op == number }) {
			only = append(only, number)
		}
	}
	for _, u := range uses {
		op, listed := g.Ops[u.op]
		if !listed && u.op == 0 {
			if len(only) != 1 {
				continue
			}
			u.op = only[0]
			op = g.Ops[u.op]
		}
		if u.do != nil {
			op.DoPolicy = policies[*u.do]
		}
		if u.dump != nil {
			op.DumpPolicy = policies[*u.dump]
			op.Flags |= unix.GENL_CMD_CAP_DUMP
		}
		g.Ops[u.op] = op
	}
	return nil
}

// Dumps are the family's dumps.
func (g *Generic) Dumps(asks Asks) (targets []*Target) {
	for _, cmd := range slices.Sorted(maps.Keys(g.Ops)) {
		if !g.Ops[cmd].Can(unix.GENL_CMD_CAP_DUMP) {
			continue
		}
		header := slices.Concat([]byte{cmd, byte(g.Version), 0, 0}, zeros(align(g.Header)))
		t := &Target{
			Family: g.Name, Command: commandName(g.Name, cmd), Protocol: unix.NETLINK_GENERIC, Generic: g, Cmd: cmd,
			Request: nldump.Message{Type: g.ID}, Header: len(header),
		}
		targets = append(targets, asks.of(t, header)...)
	}
	return targets
}
