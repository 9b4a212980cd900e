// SPDX-License-Identifier: BSD-3-Clause

package check

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/observe"
)

// The checks of who reads: another user, another network namespace.

// elsewhere runs a function on a thread of its own, in the calling thread's network
// namespace, which enter changes first. The thread ends with it.
func elsewhere[T any](enter func() error, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var zero T
	// A new thread may have another namespace than this one.
	ns, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		return zero, err
	}
	defer ns.Close()
	answers := make(chan answer)
	go func() {
		runtime.LockOSThread() // and never unlocked
		var a answer
		if a.err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); a.err == nil || errors.Is(a.err, unix.EPERM) {
			if a.err = enter(); a.err == nil {
				a.value, a.err = f()
			}
		}
		answers <- a
	}()
	a := <-answers
	return a.value, a.err
}

// become makes the calling thread, and no other, that of a user without rights.
func become(uid uint32) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return fmt.Errorf("no groups: %w", errno)
	}
	id := uintptr(uid)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, id, id, id); errno != 0 {
		return fmt.Errorf("group %d: %w", uid, errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, id, id, id); errno != 0 {
		return fmt.Errorf("user %d: %w", uid, errno)
	}
	return nil
}

func (r *run) asNobody(f func() (*observe.Dump, error)) (*observe.Dump, error) {
	return elsewhere(func() error { return become(r.User) }, f)
}

// byNobody takes the dump as that user.
func (r *run) byNobody() (d *observe.Dump, err error) {
	if r.other == nil {
		r.other, err = r.asNobody(func() (*observe.Dump, error) { return r.dump(r.Request, large) })
	}
	return r.other, err
}

// checkNobody takes the dump as a user without rights.
func checkNobody(r *run) {
	if os.Geteuid() != 0 {
		r.skip("only root can read as another user")
		return
	}
	if r.nothing() {
		return
	}
	d, err := r.byNobody()
	if r.failed(err) {
		return
	}
	if !d.Whole() {
		if !refusal(d) {
			r.broken("read by user %d, it does not come to its end: %s", r.User, ending(d))
		} else {
			r.info("refused: %v", d.Errno)
		}
		return
	}
	missing, more := difference(r.keys(r.base), r.keys(d))
	if more > 0 {
		r.broken("user %d gets %s that root does not get", r.User, count(more, "record"))
		r.compared()
	}
	if missing > 0 {
		r.info("%s less than root gets", count(missing, "record"))
	} else {
		r.info("the same records as root")
	}
}

// checkRights compares who may take the dump with who may ask for a single record.
func checkRights(r *run) {
	if os.Geteuid() != 0 {
		r.skip("only root can ask as another user")
		return
	}
	if !r.canDo() {
		return
	}
	request := r.doFor(r.base.Records()[0])
	do := func() (*observe.Dump, error) {
		s, err := r.open(large)
		if err != nil {
			return nil, err
		}
		defer s.Close()
		return s.Do(request, r.Wait), nil
	}
	mine, err := do()
	if r.failed(err) {
		return
	}
	one, err := r.asNobody(do)
	if r.failed(err) {
		return
	}
	all, err := r.byNobody()
	if r.failed(err) {
		return
	}
	denied := func(d *observe.Dump) bool { return refusal(d) && (d.Errno == unix.EPERM || d.Errno == unix.EACCES) }
	switch {
	case denied(one) && !denied(mine) && all.Whole() && len(all.Records()) > 0:
		r.broken("user %d may not ask for a record (%v), and gets all %d by a dump", r.User, one.Errno, len(all.Records()))
	case denied(all) && one.End == observe.Acked && len(one.Records()) > 0:
		r.note("user %d may ask for each record, and not for all (%v)", r.User, all.Errno)
	case len(mine.Records()) == 1 && len(one.Records()) == 1 && all.Whole() && len(all.Records()) > 0:
		r.hidden(mine.Records()[0], one.Records()[0], all.Records()[0])
	}
}

// hidden finds what a do has for root and not for a user without rights, who gets it
// by a dump.
func (r *run) hidden(root, nobody, dumped observe.Message) {
	has := func(m observe.Message, typ uint16) bool {
		a := m.Attrs(r.Header)
		return a.Find(typ)
	}
	for a := root.Attrs(r.Header); a.Next(); {
		if typ := a.Type(); !has(nobody, typ) && has(dumped, typ) {
			r.broken("user %d does not get %s by a do, as root does, and gets it by a dump", r.User, nameOf(r.Target, []uint16{typ}))
		}
	}
}

// inNewNamespace takes the dump in a network namespace that is new.
func (r *run) inNewNamespace() (*observe.Dump, error) {
	if r.new != nil {
		return r.new, nil
	}
	d, err := elsewhere(
		func() error { return unix.Unshare(unix.CLONE_NEWNET) },
		func() (*observe.Dump, error) { return r.dump(r.Request, large) })
	if errors.Is(err, unix.EPERM) {
		err = errors.New("only root can make a network namespace")
	}
	r.new = d
	return d, err
}

func checkNamespace(r *run) {
	d, err := r.inNewNamespace()
	if r.failed(err) {
		return
	}
	if !d.Whole() {
		r.info("in a new one: %v", d.Errno)
		return
	}
	missing, _ := difference(r.keys(r.base), r.keys(d))
	switch n := len(r.base.Records()); {
	case n == 0:
		r.skip("the table is empty")
		return
	case missing > 0 || n == 1 && r.Generic == nil:
	case r.Generic == nil: // rules, tables of neighbours
		r.note("a new network namespace has the same %s: the table is of none, or each begins with these", count(n, "record"))
	case n > 1:
		r.weak("a new network namespace has the same %d records: the table is of none, or of whoever reads", n)
	}
	r.info("%s in a new one", count(len(d.Records()), "record"))

	// A socket that is passed on keeps its namespace.
	s, err := r.open(large)
	if r.failed(err) {
		return
	}
	defer s.Close()
	passed, err := elsewhere(
		func() error { return unix.Unshare(unix.CLONE_NEWNET) },
		func() (*observe.Dump, error) { return s.Dump(r.Request, r.limits()), nil })
	if !r.failed(err) {
		r.same(passed, "on a socket that a reader in another network namespace has")
	}
}
