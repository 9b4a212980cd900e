// SPDX-License-Identifier: BSD-3-Clause

package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// The protocols that are named like a family on the command line.
var protocolWords = map[string]int{
	"route": unix.NETLINK_ROUTE, "rtnetlink": unix.NETLINK_ROUTE,
	"nfnetlink": unix.NETLINK_NETFILTER, "netfilter": unix.NETLINK_NETFILTER,
	"sock_diag": unix.NETLINK_SOCK_DIAG, "xfrm": unix.NETLINK_XFRM, "crypto": unix.NETLINK_CRYPTO,
	"audit": unix.NETLINK_AUDIT, "rdma": unix.NETLINK_RDMA,
}

// Find finds the dumps that the words select: FAMILY, or FAMILY COMMAND, or the name of
// one.
//
// A family is one of generic netlink, by name, or one of route (rtnetlink), nfnetlink
// (netfilter), sock_diag, xfrm, crypto, audit, rdma. A command is a number, or words of
// the target's name: "getrule", "inet6 getrule", "nftables getset", "tcp". With route, it
// is also what iproute2 calls the objects: links, addresses, routes, rules. Upper and
// lower case, plural, "get" and the kind of dash do not matter if the meaning is clear.
//
// The kernel loads the family's module, if it is not there yet; of a protocol with many,
// the modules that the command names. If there is no such family or command, the error
// is an os.ErrNotExist that says what there is.
func Find(ctx context.Context, words []string) ([]*Target, error) {
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("no family is named")
	}
	name, command := words[0], words[1:]
	targets, err := dumpsOf(ctx, name, command)
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		return nil, notFound("family %s has no dump in this kernel", name)
	}
	full := strings.Join(words, " ") // as --list has it
	if i := slices.IndexFunc(targets, func(t *Target) bool { return t.Name() == full }); i >= 0 {
		return targets[i : i+1], nil
	}
	return choose(name, targets, command)
}

// dumpsOf returns a family's dumps: all of them, or at least those that a command could
// mean.
func dumpsOf(ctx context.Context, name string, command []string) ([]*Target, error) {
	protocol, ok := protocolWords[strings.ReplaceAll(strings.ToLower(name), "-", "_")]
	if !ok {
		g, err := genericFamily(ctx, name)
		if err != nil {
			return nil, err
		}
		return complete(g.Dumps(nil)), nil
	}
	named := func(t *Target) bool { return len(command) > 0 && t.is(command, loosely) }
	switch protocol {
	case unix.NETLINK_ROUTE:
		targets, err := Rtnetlink(nil, func(t *Target) bool { return len(command) == 0 || t.mayBe(command) })
		if err == nil {
			targets, err = withNamed(targets, command)
		}
		if err == nil && len(targets) == 0 {
			err = notFound("rtnetlink has no dump %q%s: see dumpcheck --list route", strings.Join(command, " "), nearest(strings.Join(command, " "), RouteNames()))
		}
		return complete(targets), err
	case unix.NETLINK_NETFILTER:
		targets, err := netfilterHere(Netfilter(nil), named)
		return complete(targets), err
	case unix.NETLINK_SOCK_DIAG:
		return SockDiag(named)
	}
	// To open a socket loads the module.
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT):
		return nil, notFound("this kernel has no %s", name)
	case err != nil:
		return nil, fmt.Errorf("socket of %s: %w", name, err)
	}
	unix.Close(fd)
	return Others(map[int]bool{protocol: true})
}

// withNamed adds the dumps of a family of rtnetlink that is named, which are left out
// otherwise if they are empty.
func withNamed(targets []*Target, words []string) ([]*Target, error) {
	p := newProber()
	for number, name := range routeFamilies {
		if name == "" || !slices.ContainsFunc(words, func(w string) bool { return plainWord(w) == plainWord(name) }) {
			continue
		}
		for _, typ := range slices.Sorted(maps.Keys(routeTypes)) {
			t := routeTarget(typ, number)
			if !t.mayBe(words) || slices.ContainsFunc(targets, func(o *Target) bool { return o.Family == t.Family && o.Command == t.Command }) {
				continue
			}
			a, err := p.probe(t)
			if err != nil {
				return nil, err
			}
			if a.errno != unix.EOPNOTSUPP && a.errno != unix.EAFNOSUPPORT {
				targets = append(targets, Asks(nil).of(t, t.Request.Data)...)
			}
		}
	}
	return targets, nil
}

// genericFamily finds a family by name. If there is none, the name may be written in
// another way.
func genericFamily(ctx context.Context, name string) (*Generic, error) {
	g, err := Family(ctx, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return g, err
	}
	s, err := nldump.Dial(unix.NETLINK_GENERIC, nldump.Config{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	all, err := families(ctx, s)
	if err != nil {
		return nil, err
	}
	var names, like []string
	for _, g := range all {
		names = append(names, g.Name)
		if plainWord(g.Name) == plainWord(name) {
			like = append(like, g.Name)
		}
	}
	if len(like) == 1 {
		return Family(ctx, like[0])
	}
	slices.Sort(names)
	for word := range protocolWords {
		like = append(like, word)
	}
	slices.Sort(like)
	return nil, notFound("no family %q%s; generic netlink has %s now; the other protocols are %s", name, nearest(name, append(names, like...)),
		strings.Join(names, ", "), strings.Join(like, ", "))
}

// All finds all dumps that this kernel has now. It loads no module: a family whose
// module is not loaded is left out.
func All(ctx context.Context) ([]*Target, error) {
	all, err := Families(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *Generic) int { return cmp.Compare(a.Name, b.Name) })
	var targets []*Target
	for _, g := range all {
		targets = append(targets, g.Dumps(nil)...)
	}
	here, err := ProtocolsHere()
	if err != nil {
		return nil, err
	}
	for _, find := range []func() ([]*Target, error){
		func() ([]*Target, error) { return Rtnetlink(nil, nil) },
		func() ([]*Target, error) {
			if !here[unix.NETLINK_NETFILTER] {
				return nil, nil
			}
			return netfilterHere(Netfilter(nil), none)
		},
		func() ([]*Target, error) {
			if !here[unix.NETLINK_SOCK_DIAG] {
				return nil, nil
			}
			return SockDiag(none)
		},
		func() ([]*Target, error) { return Others(here) },
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := find()
		if err != nil {
			return nil, err
		}
		targets = append(targets, found...)
	}
	return complete(targets), nil
}

// A missing is an error that says what there is instead. It is an os.ErrNotExist.
type missing string

func (m missing) Error() string { return string(m) }

// Is implements the interface of errors.Is.
func (m missing) Is(err error) bool { return err == fs.ErrNotExist }

func notFound(format string, a ...any) error { return missing(fmt.Sprintf(format, a...)) }

// choose returns the targets that a command selects: those that have it word for word,
// or else those that have it in another way of writing, if these are all one command.
func choose(family string, targets []*Target, command []string) ([]*Target, error) {
	if len(command) == 0 {
		return targets, nil
	}
	exact := func(a, b string) bool { return a == b }
	for _, same := range []func(a, b string) bool{exact, loosely} {
		var chosen []*Target
		commands := map[string]bool{}
		for _, t := range targets {
			if t.is(command, same) {
				chosen = append(chosen, t)
				commands[t.Command] = true
			}
		}
		if len(commands) > 1 && !isFamily(chosen, command) {
			return nil, fmt.Errorf("%s %s: it is not clear which is meant: %s", family, strings.Join(command, " "), list(chosen))
		}
		if len(chosen) > 0 {
			return chosen, nil
		}
	}
	var words []string
	for _, t := range targets {
		words = append(append(words, t.Command), t.words...)
	}
	const most = 8
	more := ""
	if len(targets) > most {
		more = fmt.Sprintf(" and %d more: see dumpcheck --list %s", len(targets)-most, family)
		targets = targets[:most]
	}
	named := strings.Join(command, " ")
	return nil, notFound("family %s has no dump %q%s: it has %s%s", family, named, nearest(named, words), list(targets), more)
}

// isFamily reports whether the words name a part of a protocol, all of whose dumps are
// meant: "nftables", "inet6".
func isFamily(targets []*Target, words []string) bool {
	return !slices.ContainsFunc(targets, func(t *Target) bool {
		parts := append(strings.Fields(t.Family)[1:], t.words...)
		return !slices.ContainsFunc(words, func(w string) bool {
			return slices.ContainsFunc(parts, func(p string) bool { return plainWord(p) == plainWord(w) })
		})
	})
}

// is reports whether each word is one of the target's name, its number, or what its
// objects are called.
func (t *Target) is(words []string, same func(a, b string) bool) bool {
	if same(strings.Join(words, " "), t.Command) {
		return true
	}
	own := slices.Concat(strings.Fields(t.Family)[1:], []string{t.Command, t.number()}, t.words, strings.Fields(t.Note))
	for _, w := range words {
		if !slices.ContainsFunc(own, func(o string) bool { return same(w, o) }) {
			return false
		}
	}
	return true
}

// mayBe reports whether a dump of rtnetlink may be what the words mean. They may also
// name a family or a note, which the general dump of a type does not have.
func (t *Target) mayBe(words []string) bool {
	own := append([]string{t.Command, t.number()}, t.words...)
	known := false
	for _, w := range words {
		match := func(o string) bool { return plainWord(w) == plainWord(o) }
		if slices.ContainsFunc(own, match) {
			return true
		}
		for _, typ := range routeTypes {
			known = known || slices.ContainsFunc(append([]string{typ.name}, typ.words...), match)
		}
		_, err := strconv.Atoi(w)
		known = known || err == nil
	}
	return !known // no word is a command: all of a family's
}

// number is the command's, or the message type.
func (t *Target) number() string {
	switch {
	case t.Generic != nil:
		return strconv.Itoa(int(t.Cmd))
	case t.Protocol == unix.NETLINK_NETFILTER:
		return strconv.Itoa(int(t.Request.Type & 0xff))
	}
	return strconv.Itoa(int(t.Request.Type))
}

// plainWord is a word without what does not matter: "Rules" and "getrule" are the same.
func plainWord(s string) string {
	s = strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	if rest := strings.TrimSuffix(strings.TrimPrefix(s, "get"), "get"); rest != "" {
		s = rest
	}
	if rest, ok := strings.CutSuffix(s, "ies"); ok {
		return rest + "y"
	}
	if strings.HasSuffix(s, "sses") || strings.HasSuffix(s, "shes") {
		return strings.TrimSuffix(s, "es")
	}
	if strings.HasSuffix(s, "ss") {
		return s
	}
	return strings.TrimSuffix(s, "s")
}

func loosely(a, b string) bool { return plainWord(a) == plainWord(b) }

// none is for what may load no module.
func none(*Target) bool { return false }

// list names targets.
func list(targets []*Target) string {
	var names []string
	for _, t := range targets {
		_, part, _ := strings.Cut(t.Family, " ")
		names = append(names, fmt.Sprintf("%s (%s)", strings.TrimSpace(part+" "+t.Title()), t.number()))
	}
	return strings.Join(names, ", ")
}

// nearest says which of the names may be meant, if one looks like it.
func nearest(name string, names []string) string {
	best, least := "", len(name)/2+2
	for _, n := range names {
		if d := Distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// Distance counts the letters to change, to add, or to leave out, to get from one word
// to the other.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
