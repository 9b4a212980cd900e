// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/guest"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

var debugExitDevice = fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=1", proto.DebugExitPort)

// kernelArgs: a panic or an Oops ends the guest at once, and thereby QEMU, which
// does not reboot. A warning does not. The kernel does not limit the rate at which
// init and the tests write to its log.
const kernelArgs = "panic=-1 oops=panic loglevel=7 log_buf_len=4M nokaslr printk.devkmsg=on"

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

// accelArgs choose processor and accelerator, on which every figure depends.
func (e *Emulator) accelArgs(opts *Settings) []string {
	cpu := e.arch.CPU
	if e.Accel != "tcg" {
		cpu = "host" + arch.NoLA57
	}
	if opts.Features != "" {
		cpu += "," + opts.Features
	}
	switch {
	case opts.ICount:
		return []string{"-accel", "tcg,thread=single", "-icount", "shift=0", "-cpu", cpu}
	case e.Accel == "tcg":
		return []string{"-accel", "tcg,thread=multi", "-cpu", cpu}
	}
	return []string{"-accel", e.Accel, "-cpu", cpu}
}

func (e *Emulator) kernelLine(opts *Settings) string {
	line := append([]string{"console=" + e.arch.Serial, kernelArgs}, strings.Fields(e.arch.Line)...)
	return strings.Join(append(line, opts.KernelArgs...), " ")
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
	args := append(slices.Clone(e.arch.Machine),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-m", fmt.Sprint(opts.Mem), "-smp", fmt.Sprint(opts.CPUs),
		"-kernel", k.Boot, "-initrd", initramfs,
		"-append", e.kernelLine(opts))
	if e.arch.IsPC() {
		args = append(args, "-device", debugExitDevice)
	}
	args = append(args, e.accelArgs(opts)...)
	for _, c := range chardevs {
		args = append(args, "-chardev", c)
	}
	args = append(args, "-mon", "chardev=monitor,mode=control")
	if e.arch.Console != "" {
		args = append(args, "-device", e.arch.Console+",chardev=console")
	} else {
		args = append(args, "-serial", "chardev:console")
	}
	serial, virtio := guest.Ports(e.arch, k)
	for _, name := range serial {
		args = append(args, "-serial", "chardev:"+name)
	}
	if len(virtio) > 0 {
		args = append(args, "-device", e.arch.Virtio)
	}
	for _, name := range virtio {
		args = append(args, "-device", fmt.Sprintf("virtserialport,chardev=%s,name=%s", name, name))
	}
	return args
}

// left reports whether QEMU ended because init left the machine. On a PC, that is a
// status that has no other cause. Other machines power off, which QEMU calls a
// shutdown of the guest's, while a panic resets the machine.
func (e *Emulator) left(code int, reason string) bool {
	if e.arch.IsPC() {
		return code == proto.DebugExitCode
	}
	return code == 0 && reason == "guest-shutdown"
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
	Features   string // of the processor, as after its name in QEMU's -cpu
	ICount     bool
	KernelArgs []string      // added to the kernel's command line
	Timeout    time.Duration // of the command; 0: by the accelerator
	BootLimit  time.Duration // of the boot; 0: by the accelerator
	OutDir     string
	ModuleDir  string // what the modules are built from
}
