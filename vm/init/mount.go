// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mounts lists the guest's mounts, in order. Those that a trimmed kernel may
// lack are optional.
var mounts = []struct {
	fs, dir, data string
	optional      bool
}{
	{fs: "proc", dir: "/proc"},
	{fs: "sysfs", dir: "/sys"},
	{fs: "devtmpfs", dir: "/dev"},
	{fs: "devpts", dir: "/dev/pts", data: "gid=5,mode=620,ptmxmode=666"},
	{fs: "tmpfs", dir: "/dev/shm", data: "mode=1777", optional: true},
	{fs: "debugfs", dir: "/sys/kernel/debug", optional: true},
	{fs: "tracefs", dir: "/sys/kernel/tracing", optional: true},
	{fs: "cgroup2", dir: "/sys/fs/cgroup", optional: true},
}

// mountAll makes the usual mounts and skips those that exist.
func mountAll() error {
	for _, m := range mounts {
		// In sysfs the kernel creates the directory, if it has the feature.
		os.MkdirAll(m.dir, 0o755)
		err := unix.Mount(m.fs, m.dir, m.fs, 0, m.data)
		if err != nil && !errors.Is(err, unix.EBUSY) && !m.optional {
			return fmt.Errorf("mount %s on %s: %w", m.fs, m.dir, err)
		}
	}
	for link, to := range map[string]string{
		"/dev/fd":     "/proc/self/fd",
		"/dev/stdin":  "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(to, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// loopbackUp sets lo up.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}
