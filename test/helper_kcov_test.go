// SPDX-License-Identifier: BSD-3-Clause

package test

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kcov collects which code a thread executes (Documentation/dev-tools/kcov.rst):
// that of modules built with KCOV_INSTRUMENT := y.
type kcov struct {
	fd   int
	area []byte
}

const (
	kcovWords     = 64 << 10
	kcovInitTrace = 0x80086301
	kcovEnable    = 0x6364
)

// openKCOV returns nil if the kernel has none.
func openKCOV(t testing.TB) *kcov {
	fd, err := unix.Open("/sys/kernel/debug/kcov", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), kcovInitTrace, kcovWords); errno != 0 {
		t.Fatal(errno)
	}
	area, err := unix.Mmap(fd, 0, 8*kcovWords, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), kcovEnable, 0); errno != 0 {
		t.Fatal(errno)
	}
	return &kcov{fd, area}
}

// during calls fn, adds what this thread executes meanwhile to seen, and reports
// whether something is new.
func (k *kcov) during(seen map[uint64]bool, fn func()) (grown bool) {
	if k == nil {
		fn()
		return false
	}
	words := unsafe.Slice((*uint64)(unsafe.Pointer(&k.area[0])), kcovWords)
	words[0] = 0
	fn()
	for _, pc := range words[1 : 1+min(words[0], kcovWords-1)] {
		if !seen[pc] {
			seen[pc] = true
			grown = true
		}
	}
	return grown
}

func (k *kcov) close() {
	if k != nil {
		_ = unix.Munmap(k.area)
		_ = unix.Close(k.fd)
	}
}
