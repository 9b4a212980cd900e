// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkdump/vm/internal/proto"
)

// makeTree makes empty files.
func makeTree(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		file := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestChooseMirror(t *testing.T) {
	const targets = `bookworm-security Debian http://sec.example/
bookworm-updates Debian http://upd.example/
stable Other http://other.example/
trixie Debian http://trixie.example/
bookworm Debian http://book.example/
`
	for _, tt := range []struct{ targets, suite, want string }{
		{targets, "bookworm", "http://book.example/"},
		{targets, "trixie", "http://trixie.example/"},
		{targets, "sid", "http://trixie.example/"},
		{"bookworm-security Debian http://sec.example/\n", "bookworm", ""},
		{"bookworm Ubuntu http://u.example/\nnonsense\n", "bookworm", ""},
		{"", "bookworm", ""},
	} {
		if got := chooseMirror(tt.targets, tt.suite); got != tt.want {
			t.Errorf("%s of %q: got %q, want %q", tt.suite, tt.targets, got, tt.want)
		}
	}
}

func TestOpenKernel(t *testing.T) {
	const virtio = "/kernel/drivers/virtio/"
	older := makeTree(t, "boot/vmlinuz-6.1.0-1", "boot/config-6.1.0-1",
		"lib/modules/6.1.0-1"+virtio+"virtio.ko", "lib/modules/6.1.0-1"+virtio+"virtio_ring.ko",
		"lib/modules/6.1.0-1"+virtio+"virtio_pci.ko", "lib/modules/6.1.0-1"+virtio+"virtio_balloon.ko",
		"lib/modules/6.1.0-1/kernel/drivers/char/virtio_console.ko")
	k, err := openKernel(older)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range k.drivers {
		names = append(names, filepath.Base(d))
	}
	if want := []string{"virtio.ko", "virtio_ring.ko", "virtio_pci.ko", "virtio_console.ko"}; !slices.Equal(names, want) {
		t.Errorf("drivers %q, want %q", names, want)
	}
	if k.release != "6.1.0-1" || k.image != filepath.Join(older, "boot/vmlinuz-6.1.0-1") || !k.hasVirtio() {
		t.Errorf("got %+v", k)
	}

	newer := makeTree(t, "usr/lib/modules/7.3.0/vmlinuz")
	k, err = openKernel(newer)
	if err != nil || k.release != "7.3.0" || len(k.drivers) != 0 || k.hasVirtio() {
		t.Errorf("got %+v, %v", k, err)
	}
	headers := filepath.Join(newer, "usr/src/linux-headers-7.3.0")
	os.MkdirAll(headers, 0o755)
	os.WriteFile(filepath.Join(headers, ".config"), []byte("\n# x\nCONFIG_VIRTIO_CONSOLE=y\nCONFIG_VIRTIO_PCI=y\n"), 0o644)
	if !k.hasVirtio() {
		t.Error("a built-in console is not seen")
	}

	for _, dir := range []string{makeTree(t), makeTree(t, "boot/vmlinuz-1", "boot/vmlinuz-2")} {
		if k, err := openKernel(dir); err == nil {
			t.Errorf("not one image, yet %+v", k)
		}
	}
}

func TestReadSources(t *testing.T) {
	dir := makeTree(t, "Kbuild", "a.c", "sub/b.h", "a.mod.c", "a.o", "a.ko", "README.md", "Kconfig", "trace.S")
	sources, err := readSources(dir)
	var names []string
	for _, s := range sources {
		names = append(names, s.name)
	}
	if want := []string{"Kbuild", "Kconfig", "a.c", "sub/b.h", "trace.S"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v; want %q", names, err, want)
	}
	if _, err := readSources(makeTree(t, "a.c")); err == nil {
		t.Error("without Kbuild there is nothing to build")
	}
}

func TestPickModule(t *testing.T) {
	for _, tt := range []struct {
		files, asked string
		want         string // or what the error says
	}{
		{"/x/a.ko", "", "/x/a.ko"},
		{"/x/a.ko /x/bulkdump.ko", "", "/x/bulkdump.ko"},
		{"/x/a.ko /x/bulkdump.ko", "a", "/x/a.ko"},
		{"/x/a.ko /x/my-mod.ko", "my_mod", "/x/my-mod.ko"},
		{"/x/a.ko /x/my-mod.ko", "my-mod", "/x/my-mod.ko"},
		{"/x/a.ko /x/b.ko", "", "which module to load? --module NAME chooses one of a, b"},
		{"/x/a.ko", "b", "--module b: there is only a"},
		{"", "", "which module"},
	} {
		got, err := pickModule(strings.Fields(tt.files), tt.asked)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q of %s: got %s, want %s", tt.asked, tt.files, got, tt.want)
		}
	}
}

func TestPhaseLimit(t *testing.T) {
	for _, tt := range []struct {
		phase, accel string
		opts         options
		want         time.Duration
	}{
		{phaseBoot, "kvm", options{}, 20 * time.Second},
		{phaseBoot, "tcg", options{}, time.Minute},
		{phaseBoot, "tcg", options{icount: true}, 3 * time.Minute},
		{phaseBoot, "tcg", options{timeout: time.Second}, time.Minute},
		{phaseBoot, "tcg", options{bootLimit: time.Second}, time.Second},
		{phaseStop, "tcg", options{}, time.Minute},
		{phaseStop, "tcg", options{timeout: time.Second}, 10 * time.Second},
		{phaseStop, "kvm", options{timeout: time.Minute}, 20 * time.Second},
		{phaseOutput, "kvm", options{timeout: time.Second}, 20 * time.Second},
		{phaseCommand, "kvm", options{}, 5 * time.Minute},
		{phaseCommand, "tcg", options{}, 15 * time.Minute},
		{phaseCommand, "tcg", options{timeout: time.Second}, time.Second},
		{phaseCommand, "tcg", options{shell: true, timeout: time.Second}, time.Second},
		{phaseUnload, "tcg", options{shell: true}, time.Minute},
		{phaseUnload, "tcg", options{timeout: time.Second}, 20 * time.Second},
		{phaseUnload, "tcg", options{timeout: 30 * time.Second}, 30 * time.Second},
		{phaseUnload, "tcg", options{kernel: "debug"}, 4 * time.Minute},
		{phaseUnload, "tcg", options{timeout: time.Second, kernel: "debug"}, 80 * time.Second},
		{phaseCommand, "kvm", options{kernel: "debug"}, 20 * time.Minute},
		{phaseCommand, "tcg", options{kernel: "kcsan"}, time.Hour},
	} {
		if got := phaseLimit(tt.phase, tt.accel, &tt.opts); got != tt.want {
			t.Errorf("%s on %s with %+v: got %v, want %v", tt.phase, tt.accel, tt.opts, got, tt.want)
		}
	}
	if got := phaseLimit(phaseCommand, "tcg", &options{shell: true}); got < 24*time.Hour {
		t.Errorf("a shell ends after %v", got)
	}
}

func TestGuestConfig(t *testing.T) {
	k := &kernel{drivers: []string{"/r/virtio_console.ko"}}
	modules := []string{"/m/bulkdump.ko", "/m/other.ko"}
	opts := &options{args: []string{"ls"}, params: map[string][]string{"bulkdump": {"a=1", "b=2"}}, env: []string{"A=b"}}
	cfg, err := guestConfig(opts, "tcg", k, modules)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Token) < 20 {
		t.Errorf("token %q can be guessed", cfg.Token)
	}
	want := &proto.Config{Token: cfg.Token, Control: "/dev/ttyS1", Stdout: "virtio:stdout", Stderr: "virtio:stderr",
		Drivers: []string{"/lib/modules/virtio_console.ko"}, Command: []string{"ls"}, Env: []string{"A=b"}, Dir: "/root",
		Modules: []proto.Module{{Path: "/lib/modules/bulkdump.ko", Params: "a=1 b=2"}}}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v\nwant %+v", cfg, want)
	}

	for name, o := range map[string]*options{
		"other is not loaded":    {args: []string{"ls"}, params: map[string][]string{"other": {"a=1"}}},
		"nothing is loaded":      {args: []string{"ls"}, params: map[string][]string{"bulkdump": {"a=1"}}, noModule: true},
		"a module of that name?": {args: []string{"ls"}, params: map[string][]string{"bulkdmup": {"a=1"}}},
	} {
		if _, err := guestConfig(o, "tcg", k, modules); err == nil {
			t.Errorf("%s: the parameter is lost in silence", name)
		}
	}

	cfg, err = guestConfig(&options{args: []string{"ls"}, noModule: true}, "tcg", &kernel{}, nil)
	if err != nil || cfg.Modules != nil || cfg.Stdout != "/dev/ttyS2" || cfg.Stderr != "/dev/ttyS3" {
		t.Errorf("without virtio and module: %+v, %v", cfg, err)
	}
	cfg, _ = guestConfig(&options{shell: true, noModule: true}, "tcg", &kernel{}, nil)
	if !cfg.Shell || !slices.Equal(cfg.Command, []string{"sh", "-l"}) {
		t.Errorf("--shell: %+v", cfg)
	}
}

// The test binary's own limit passes first, so that it shows what hangs.
func TestTestCommand(t *testing.T) {
	for _, tt := range []struct {
		accel string
		opts  options
		want  string
	}{
		{"tcg", options{}, "bulkdump.test -test.v=test2json -test.timeout=14m50s"},
		{"kvm", options{accel: "auto"}, "bulkdump.test -test.v=test2json -test.timeout=4m50s"},
		{"tcg", options{timeout: time.Minute, testRegex: "TestA", args: []string{"-test.count=2"}},
			"bulkdump.test -test.v=test2json -test.run=TestA -test.timeout=50s -test.count=2"},
	} {
		if got := strings.Join(testCommand(&tt.opts, tt.accel), " "); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestQemuArgs(t *testing.T) {
	line := func(o options, k kernel, accel string) string {
		k.boot = "/vmlinuz"
		return strings.Join(qemuArgs(&o, &k, accel, inheritedImage, inheritedPorts()), " ")
	}
	serial := line(options{cpus: 1, mem: 512, icount: true, kernelArg: []string{"a=b c", "--", "d"}}, kernel{}, "tcg")
	virtio := line(options{cpus: 2, mem: 512}, kernel{drivers: []string{"virtio_console.ko"}}, "kvm")
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

func TestToolErrors(t *testing.T) {
	for script, want := range map[string]string{
		"for i in $(seq 100); do echo $i; done; exit 3": "exit status 3\n41\n",
		"echo 'x: No space left on device' >&2; exit 1": syscall.ENOSPC.Error(),
	} {
		if err := runTool(tool(t.Context(), "sh", "-c", script)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
	if err := runTool(tool(t.Context(), "no-such-program")); err == nil || !strings.Contains(err.Error(), "vm/deps") {
		t.Errorf("a program that is not there: %v", err)
	}
	// What it says is looked at, in English.
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	if err := runTool(tool(t.Context(), "sh", "-c", "test $LC_ALL = C")); err != nil {
		t.Error(err)
	}
}
