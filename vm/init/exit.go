// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// leave ends the machine. On a PC, QEMU exits with a status that nothing else
// produces. Without permission for that, and on other machines, it powers off, which
// QEMU tells from a reset, and so from a panic.
func leave() {
	runtime.LockOSThread() // a permission belongs to the thread
	debugExit()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}
