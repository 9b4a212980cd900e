// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"runtime"

	"golang.org/x/sys/unix"

	"bulkdump/vm/internal/proto"
)

// outb writes one byte to an I/O port. The calling thread needs the right to.
func outb(port uint16, value uint8)

// leave ends the machine. With the debug-exit device QEMU ends with a status
// of its own; without the right to use it the machine powers off, which the
// host takes for what it is: an end without the guest's word.
func leave() {
	runtime.LockOSThread() // the right is the thread's
	if unix.Iopl(3) == nil {
		outb(proto.DebugExitPort, proto.DebugExitValue)
	}
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}
