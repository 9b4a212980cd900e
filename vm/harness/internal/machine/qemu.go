// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/vm/harness/internal/guest"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

var debugExitDevice = fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=1", proto.DebugExitPort)

// kernelArgs: a panic or an Oops ends the guest at once, and thereby QEMU, which
// does not reboot. A warning does not. The kernel does not limit the rate at which
// init and the tests write to its log. It does not check the timer: that counts the
// ticks while a loop of the processor goes on, finds none if the host is busy, and
// panics (arch/x86/kernel/apic/io_apic.c:check_timer).
const kernelArgs = "console=ttyS0 panic=-1 oops=panic loglevel=7 log_buf_len=4M 8250.nr_uarts=4 " +
	"i8042.noaux i8042.nokbd i8042.nopnp no_timer_check nokaslr random.trust_cpu=on printk.devkmsg=on"

// The ports of a guest, in the order of their descriptors in QEMU.
const (
	portConsole = iota
	portControl
	portStdout
	portStderr
	portMonitor
	portCount
)

// machine is a running QEMU.
type machine struct {
	cmd   *exec.Cmd
	ports [portCount]*os.File
	log   bytes.Buffer // what QEMU itself says
}

// noLA57 leaves out the fifth level of page tables. While a kernel identifies its
// processor, arch/x86/kernel/cpu/common.c clears the feature bits for a moment.
// pgtable_l5_enabled() reads them, so that addresses seem to have four levels.
// KASAN then reports an interrupt that comes at that moment.
const noLA57 = ",la57=off"

// accelArgs choose processor and accelerator, on which every figure depends.
func accelArgs(opts *Settings, accel string) []string {
	switch {
	case opts.ICount:
		return []string{"-accel", "tcg,thread=single", "-icount", "shift=0", "-cpu", "max" + noLA57}
	case accel == "tcg":
		return []string{"-accel", "tcg,thread=multi", "-cpu", "max" + noLA57}
	}
	return []string{"-accel", accel, "-cpu", "host" + noLA57}
}

func kernelLine(opts *Settings) string {
	return strings.Join(append([]string{kernelArgs}, opts.KernelArgs...), " ")
}

var portNames = [portCount]string{"console", "control", "stdout", "stderr", "monitor"}

// inheritedPorts are the ports as descriptors 3 and up. inheritedImage is the next
// descriptor.
func inheritedPorts() (chardevs [portCount]string) {
	for i, name := range portNames {
		chardevs[i] = fmt.Sprintf("socket,id=%s,fd=%d", name, 3+i)
	}
	return chardevs
}

var inheritedImage = fmt.Sprintf("/proc/self/fd/%d", 3+portCount)

func (e *Emulator) args(opts *Settings, k *kernels.Kernel, initramfs string, chardevs [portCount]string) []string {
	args := []string{
		"-M", "q35", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-m", fmt.Sprint(opts.Mem), "-smp", fmt.Sprint(opts.CPUs),
		"-kernel", k.Boot, "-initrd", initramfs,
		"-append", kernelLine(opts),
		"-device", debugExitDevice,
	}
	args = append(args, accelArgs(opts, e.Accel)...)
	for _, c := range chardevs {
		args = append(args, "-chardev", c)
	}
	args = append(args, "-mon", "chardev=monitor,mode=control", "-serial", "chardev:console", "-serial", "chardev:control")
	if k.HasVirtio() {
		args = append(args, "-device", "virtio-serial-pci")
		for _, name := range portNames[portStdout:portMonitor] {
			args = append(args, "-device", fmt.Sprintf("virtserialport,chardev=%s,name=%s", name, name))
		}
	} else {
		args = append(args, "-serial", "chardev:stdout", "-serial", "chardev:stderr")
	}
	return args
}

// startQEMU starts QEMU. It gets nothing of the host but the descriptors. The
// kernel ends it when this process ends, however that happens.
func startQEMU(opts *Settings, e *Emulator, k *kernels.Kernel, image *os.File, d *debugger) (*machine, error) {
	args := append(e.args(opts, k, inheritedImage, inheritedPorts()), d.args()...)
	m := &machine{cmd: exec.Command(e.path, args...)}
	m.cmd.Stdout, m.cmd.Stderr = &m.log, &m.log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	for i := range m.ports {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			m.close()
			return nil, err
		}
		unix.SetNonblock(fds[0], true) // so that Close ends the reader
		m.ports[i] = os.NewFile(uintptr(fds[0]), "port")
		theirs := os.NewFile(uintptr(fds[1]), "port")
		defer theirs.Close()
		m.cmd.ExtraFiles = append(m.cmd.ExtraFiles, theirs)
	}
	m.cmd.ExtraFiles = append(m.cmd.ExtraFiles, image)
	if err := m.cmd.Start(); err != nil {
		m.close()
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	return m, nil
}

func (m *machine) close() {
	for _, p := range m.ports {
		if p != nil {
			p.Close()
		}
	}
}

// kill ends QEMU. Until it is waited for, no other process can have its id.
func (m *machine) kill() { m.cmd.Process.Kill() }

// complaint is QEMU's own output in one line.
func (m *machine) complaint() string {
	return strings.Join(strings.Fields(m.log.String()), " ")
}

// Settings are what the command line asks of the machine, and of the guest on it.
type Settings struct {
	guest.Options
	Kernel     string
	Accel      string
	CPUs, Mem  int
	ICount     bool
	KernelArgs []string      // added to the kernel's command line
	Timeout    time.Duration // of the command; 0: by the accelerator
	BootLimit  time.Duration // of the boot; 0: by the accelerator
	OutDir     string
	ModuleDir  string // what the modules are built from
}
