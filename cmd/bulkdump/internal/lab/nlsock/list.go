// SPDX-License-Identifier: BSD-3-Clause

package nlsock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"bulkdump/client/nldump"
)

// A List is what was found.
type List struct {
	Sockets    []Socket
	NotEntered int   // namespaces that are in sight, but cannot be entered
	Fallback   error // why Diag was not used; nil if it was
}

// Read lists the netlink sockets of all network namespaces in sight that the caller
// may enter: without CAP_SYS_ADMIN, that is only its own. Read leaves out the
// sockets that it uses itself.
//
// If only is "", it reads sock_diag, and what is missing there from
// /proc/net/netlink. If the kernel has no netlink_diag, it reads only the latter.
func Read(ctx context.Context, only Source) (*List, error) {
	s := look("/proc", "/run/netns")
	defer s.close()
	var l List
	own, err := ownNamespace()
	if err != nil {
		return nil, err
	}
	if s.namespaces[own] == nil {
		s.namespaces[own] = &seen{Namespace: Namespace{Inode: own}}
	}
	for _, ns := range s.namespaces {
		var file *os.File
		if ns.Inode != own {
			file = ns.file
		}
		var found []Socket
		err := within(file, func() (err error) {
			found, err = l.read(ctx, only)
			return err
		})
		if errors.Is(err, errNotEntered) {
			l.NotEntered++
			continue
		}
		if err != nil {
			return nil, err
		}
		for i := range found {
			sock := &found[i]
			sock.NetNS = ns.Namespace
			// Never nil, so that JSON has an empty list.
			sock.Owners = append([]Owner{}, s.owners[sock.Inode]...)
			sock.Groups = append([]Group{}, sock.Groups...)
		}
		l.Sockets = append(l.Sockets, found...)
	}
	slices.SortFunc(l.Sockets, compare)
	return &l, nil
}

// read lists the sockets of the thread's namespace.
func (l *List) read(ctx context.Context, only Source) ([]Socket, error) {
	var families map[uint32]string
	err := with(unix.NETLINK_GENERIC, func(s *nldump.Stream) (err error) {
		families, err = readFamilies(ctx, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	var diag, proc []Socket
	if only != Proc {
		err := with(unix.NETLINK_SOCK_DIAG, func(s *nldump.Stream) (err error) {
			diag, err = readDiag(ctx, s)
			return err
		})
		if errors.Is(err, ErrNoDiag) && only == "" {
			l.Fallback = err
		} else if err != nil {
			return nil, err
		}
	}
	if only != Diag {
		text, err := os.ReadFile("/proc/thread-self/net/netlink")
		if err != nil {
			return nil, err
		}
		if proc, err = parseProc(string(text)); err != nil {
			return nil, err
		}
	}
	all := merge(diag, proc)
	for _, s := range all {
		for i := range s.Groups {
			s.Groups[i].Name = groupName(s.Protocol, s.Groups[i].ID, families)
		}
	}
	return all, nil
}

// with lends a stream, and closes it, so that the next look does not see it.
func with(family int, fn func(*nldump.Stream) error) error {
	s, err := nldump.Dial(family, nldump.Config{})
	if err != nil {
		return err
	}
	defer s.Close()
	return fn(s)
}

func ownNamespace() (uint64, error) {
	target, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return 0, fmt.Errorf("cannot tell the own network namespace: %w", err)
	}
	inode, ok := inodeIn(target, "net", 64)
	if !ok {
		return 0, fmt.Errorf("cannot tell the own network namespace from %q", target)
	}
	return inode, nil
}

var errNotEntered = errors.New("not entered")

// within calls fn in a network namespace, nil being the own one, in a thread that
// dies afterwards.
func within(file *os.File, fn func() error) error {
	if file == nil {
		return fn()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("%w: %w", errNotEntered, err)
			return
		}
		done <- fn()
	}()
	return <-done
}
