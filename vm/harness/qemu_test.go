// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strings"
	"testing"
)

func TestQemuArgs(t *testing.T) {
	line := func(o machineOptions, k kernel, accel string) string {
		k.boot = "/vmlinuz"
		return strings.Join((&emulator{"qemu", accel}).args(&o, &k, inheritedImage, inheritedPorts()), " ")
	}
	serial := line(machineOptions{cpus: 1, mem: 512, icount: true, kernelArg: []string{"a=b c", "--", "d"}}, kernel{}, "tcg")
	virtio := line(machineOptions{cpus: 2, mem: 512}, kernel{drivers: []string{"virtio_console.ko"}}, "kvm")
	for _, want := range []string{"-nodefaults", "-no-reboot", "-m 512 -smp 1", "-initrd /proc/self/fd/7", "-icount shift=0",
		"thread=single", "-cpu max,la57=off", " printk.devkmsg=on a=b c -- d -device ", "isa-debug-exit,iobase=0xf4", "-serial chardev:console -serial chardev:control -serial chardev:stdout"} {
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
