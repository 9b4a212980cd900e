// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"strings"
	"testing"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/kernels"
)

func TestQemuArgs(t *testing.T) {
	line := func(a *arch.Arch, o Settings, k kernels.Kernel, accel string) string {
		k.Boot = "/vmlinuz"
		return strings.Join((&Emulator{a, "qemu", accel}).args(&o, &k, inheritedImage, inheritedPorts()), " ")
	}
	serial := line(arch.Host, Settings{CPUs: 1, Mem: 512, ICount: true, Features: "erms=off", KernelArgs: []string{"a=b c", "--", "d"}}, kernels.Kernel{}, "tcg")
	virtio := line(arch.Host, Settings{CPUs: 2, Mem: 512}, kernels.Kernel{Virtio: true}, "kvm")
	for _, want := range []string{"-nodefaults", "-no-reboot", "-m 512 -smp 1", "-initrd /proc/self/fd/8", "-icount shift=0",
		"thread=single", "-cpu max,la57=off,erms=off -", " random.trust_cpu=on a=b c -- d -device ", "isa-debug-exit,iobase=0xf4", "-serial chardev:console -serial chardev:control -serial chardev:stdout"} {
		if !strings.Contains(serial, want) {
			t.Errorf("%q is not in %s", want, serial)
		}
	}
	for _, want := range []string{"-accel kvm -cpu host,la57=off", "virtserialport,chardev=stderr,name=stderr", "socket,id=stdout,fd=5"} {
		if !strings.Contains(virtio, want) {
			t.Errorf("%q is not in %s", want, virtio)
		}
	}
}
