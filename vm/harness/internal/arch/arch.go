// SPDX-License-Identifier: BSD-3-Clause

// Package arch knows the kinds of machine that guests run on: how QEMU makes them,
// and what Go, the C compiler and Debian call them.
package arch

import (
	"fmt"
	"strings"
)

// An Arch is a kind of machine.
type Arch struct {
	Name    string            // Debian's, and that of --arch
	Go      []string          // what go is told in its environment
	GNU     string            // the first words of its C compiler's name
	Linux   string            // ARCH of the kernel's make
	GDB     string            // what gdb calls it
	Big     bool              // byte order
	Flavour map[string]string // of Debian's kernels, by the name that --kernel has
	Source  []string          // the kernels that the harness builds from source: those of vm/kernels
	Image   string            // what a build leaves to boot, in the kernel's tree

	Package string   // Debian's, with its QEMU
	QEMU    string   // the program
	Machine []string // QEMU's machine
	CPU     string   // the processor that QEMU emulates
	Serial  string   // the driver of the first serial port, which is the console
	Console string   // the device of that port, if the machine does not come with one
	Line    string   // what the kernel's command line has more
	Virtio  string   // the device whose ports carry bytes; PCs can do without
}

// All are those that --arch knows.
var All = []*Arch{
	{
		Name: "amd64", Go: []string{"GOARCH=amd64"}, GNU: "x86_64-linux-gnu", Linux: "x86_64", GDB: "i386:x86-64",
		// The cloud flavour is smaller, and has virtio built in.
		Flavour: map[string]string{"6.1": "amd64", "6.12": "cloud-amd64", "7.3": "cloud-amd64"},
		Source:  []string{"debug", "kcsan", "kmsan"}, Image: "arch/x86/boot/bzImage",
		Package: "qemu-system-x86", QEMU: "qemu-system-x86_64", Machine: []string{"-M", "q35"}, CPU: "max" + NoLA57,
		Serial: "ttyS0", Line: linePC, Virtio: "virtio-serial-pci",
	},
	{
		Name: "i386", Go: []string{"GOARCH=386"}, GNU: "i686-linux-gnu", Linux: "i386", GDB: "i386",
		Flavour: map[string]string{"6.1": "686-pae"},
		// Without the vendor it is an AMD K7, of which the kernel says that it may not have
		// two processors.
		Package: "qemu-system-x86", QEMU: "qemu-system-i386", Machine: []string{"-M", "q35"}, CPU: "max,vendor=GenuineIntel",
		Serial: "ttyS0", Line: linePC, Virtio: "virtio-serial-pci",
	},
	{
		Name: "arm64", Go: []string{"GOARCH=arm64"}, GNU: "aarch64-linux-gnu", Linux: "arm64", GDB: "aarch64",
		Flavour: map[string]string{"6.1": "arm64", "6.12": "cloud-arm64", "7.3": "cloud-arm64"},
		Source:  []string{"64k"}, Image: "arch/arm64/boot/Image",
		// Pointers that are signed as the architecture says cost half of the time.
		Package: "qemu-system-arm", QEMU: "qemu-system-aarch64", Machine: []string{"-M", "virt"}, CPU: "max,pauth-impdef=on",
		Serial: "ttyAMA0", Virtio: "virtio-serial-pci",
	},
	{
		Name: "armhf", Go: []string{"GOARCH=arm", "GOARM=7"}, GNU: "arm-linux-gnueabihf", Linux: "arm", GDB: "arm",
		Flavour: map[string]string{"6.1": "armmp", "6.12": "armmp", "7.3": "armmp"},
		Package: "qemu-system-arm", QEMU: "qemu-system-arm", Machine: []string{"-M", "virt,highmem=off"}, CPU: "cortex-a15",
		Serial: "ttyAMA0", Virtio: "virtio-serial-pci",
	},
	{
		Name: "ppc64el", Go: []string{"GOARCH=ppc64le"}, GNU: "powerpc64le-linux-gnu", Linux: "powerpc", GDB: "powerpc:common64",
		Flavour: map[string]string{"6.1": "powerpc64le", "6.12": "powerpc64le", "7.3": "powerpc64le"},
		Package: "qemu-system-ppc", QEMU: "qemu-system-ppc64", Machine: []string{"-M", "pseries"}, CPU: "max",
		Serial: "hvc0", Virtio: "virtio-serial-pci",
	},
	{
		Name: "riscv64", Go: []string{"GOARCH=riscv64"}, GNU: "riscv64-linux-gnu", Linux: "riscv", GDB: "riscv:rv64",
		Flavour: map[string]string{"6.12": "riscv64", "7.3": "riscv64"},
		Package: "qemu-system-riscv", QEMU: "qemu-system-riscv64", Machine: []string{"-M", "virt"}, CPU: "max",
		Serial: "ttyS0", Virtio: "virtio-serial-pci",
	},
	{
		Name: "s390x", Go: []string{"GOARCH=s390x"}, GNU: "s390x-linux-gnu", Linux: "s390", GDB: "s390:64-bit", Big: true,
		Flavour: map[string]string{"6.1": "s390x", "6.12": "s390x", "7.3": "s390x"},
		Package: "qemu-system-s390x", QEMU: "qemu-system-s390x", Machine: []string{"-M", "s390-ccw-virtio"}, CPU: "max",
		Serial: "ttysclp0", Console: "sclpconsole", Virtio: "virtio-serial-ccw",
	},
}

// NoLA57 leaves out the fifth level of page tables. While a kernel identifies its
// processor, arch/x86/kernel/cpu/common.c clears the feature bits for a moment.
// pgtable_l5_enabled() reads them, so that addresses seem to have four levels.
// KASAN then reports an interrupt that comes at that moment.
const NoLA57 = ",la57=off"

// linePC leaves out devices that a PC does not have here. And the kernel does not
// check the timer: that counts the ticks while a loop of the processor goes on,
// finds none if the host is busy, and panics
// (arch/x86/kernel/apic/io_apic.c:check_timer).
const linePC = "8250.nr_uarts=4 i8042.noaux i8042.nokbd i8042.nopnp no_timer_check random.trust_cpu=on"

// Host is the one of this machine, on which kernels and modules are built.
var Host = All[0]

// Find returns the one of that name.
func Find(name string) (*Arch, error) {
	var names []string
	for _, a := range All {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	return nil, fmt.Errorf("it is none of %s", strings.Join(names, ", "))
}

// IsPC reports whether it has a PC's ports, among them QEMU's debug-exit. The host is a
// PC, so it may run another one with KVM.
func (a *Arch) IsPC() bool { return a.Line == linePC }
