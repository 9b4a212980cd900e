// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/guest"
	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

func TestGdbScript(t *testing.T) {
	d := &debugger{arch: arch.Host, dir: "/d"}
	got := d.scriptText([]string{`/c/modules-6.1-0123abc/my-mod.ko`, "/c/modules-6.1-0123abc/other.ko"}, map[string]proto.Sections{
		"my_mod": {".text": "0x1000", ".data": "0x2000", ".bss": "0x3000", ".init.text": "0x4000", "__ksymtab": "0x5000", ".text.unlikely": "0x1800"},
		"virtio": {".text": "0x9000"},
	}, `/src/a "b"`)
	const want = `set architecture i386:x86-64
set endian little
set confirm off
target remote /d/gdb
set substitute-path /build/0123abc "/src/a \"b\""
add-symbol-file "/c/modules-6.1-0123abc/my-mod.ko" 0x1000 -s .bss 0x3000 -s .data 0x2000 -s .text.unlikely 0x1800
set confirm on
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// The guest is told to go on when the stub has answered, not when somebody
// has merely connected.
func TestDebuggerWaitsForTheStub(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	d, err := newDebugger(arch.Host)
	if err != nil {
		t.Fatal(err)
	}
	stub, err := net.Listen("unix", d.stubSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer stub.Close()
	gdb, err := net.Dial("unix", d.socket())
	if err != nil {
		t.Fatal(err)
	}
	defer gdb.Close()
	soon := time.Now().Add(10 * time.Second)
	gdb.SetDeadline(soon)
	stub.(*net.UnixListener).SetDeadline(soon)
	end, err := stub.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	end.SetDeadline(soon)
	gdb.Write([]byte("?"))
	buf := make([]byte, 1)
	if _, err := io.ReadFull(end, buf); err != nil || buf[0] != '?' {
		t.Fatalf("the stub got %q, %v", buf, err)
	}
	select {
	case <-d.answered:
		t.Error("answered before the stub spoke")
	default:
	}
	end.Write([]byte("+"))
	if _, err := io.ReadFull(gdb, buf); err != nil || buf[0] != '+' {
		t.Fatalf("gdb got %q, %v", buf, err)
	}
	select {
	case <-d.answered:
	default:
		t.Error("gdb has the answer, and the guest does not go on")
	}
	line, err := d.invite("/a b/vmlinux", nil, nil, "")
	if err != nil || line != "gdb '/a b/vmlinux' -x "+host.Quote(d.script()) {
		t.Errorf("%s, %v", line, err)
	}
	d.close()
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	(*debugger)(nil).close()
}

func TestGdbHasNoLimits(t *testing.T) {
	for _, phase := range []string{PhaseBoot, PhaseLoad, PhaseCommand, PhaseUnload} {
		if got, _ := Limit(phase, "tcg", &Settings{Options: guest.Options{GDB: true}}); got != unlimited {
			t.Errorf("%s: %v", phase, got)
		}
	}
}

func TestBootText(t *testing.T) {
	k := &kernels.Kernel{Boot: "/x/vmlinuz"}
	got := bootText(&Settings{CPUs: 1, Mem: 512, KernelArgs: []string{"it's"}}, &Emulator{arch.Host, "/a b/qemu", "tcg"}, k)
	for _, want := range []string{"-kernel kernel \\\n", "-initrd initramfs \\\n", `it'\''s`, "path=/dev/fdset/2,append=on", `"$@"`, "exec 3>>/dev/stderr 4>>/dev/stdout", "command -v '/a b/qemu' ||"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "fd=7") || strings.Contains(got, "stdio") || k.Boot != "/x/vmlinuz" {
		t.Errorf("it needs the harness's descriptors, or a terminal:\n%s", got)
	}
	if got := bootText(&Settings{Options: guest.Options{Shell: true}}, &Emulator{arch.Host, "qemu", "tcg"}, k); !strings.Contains(got, "stdio,id=stdout,signal=off") {
		t.Error("a shell has no keys")
	}
}
