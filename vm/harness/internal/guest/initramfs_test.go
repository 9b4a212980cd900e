// SPDX-License-Identifier: BSD-3-Clause

package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cavaliergopher/cpio"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

// unpack returns an archive's entries, "MODE TEXT" by name, and fails if a name
// comes twice or before its directory: the kernel would make neither good.
func unpack(t *testing.T, text []byte) map[string]string {
	t.Helper()
	got := map[string]string{}
	for r := cpio.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got
		} else if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := got[h.Name]; ok || h.Name == "" {
			t.Errorf("%q comes twice, or is the root", h.Name)
		}
		if dir := filepath.Dir(h.Name); dir != "." {
			if _, ok := got[dir]; !ok {
				t.Errorf("%s comes before its directory", h.Name)
			}
		}
		if h.Linkname != "" {
			body = []byte(h.Linkname)
		}
		got[h.Name] = fmt.Sprintf("%o %s", uint32(h.Mode), body)
	}
}

func pack(t *testing.T, a *archive) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := a.write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArchive(t *testing.T) {
	host := t.TempDir()
	for name, text := range map[string]string{"sub/file": "text", "run": "#!"} {
		file := filepath.Join(host, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(filepath.Join(host, "run"), 0o750)
	os.Symlink("sub/file", filepath.Join(host, "link"))
	fill := func() *archive {
		a := newArchive()
		a.dir("/tmp", 0o1777)
		a.file("/a/b/c", 0o600, []byte("first"))
		a.file("/a/b/c", 0o755, []byte("second"))
		a.link("/bin/sh", "busybox")
		if err := errors.Join(a.tree("/x", host), a.tree("/one/file", filepath.Join(host, "link"))); err != nil {
			t.Fatal(err)
		}
		return a
	}
	text := pack(t, fill())
	got := unpack(t, text)
	want := map[string]string{
		"tmp": "41777 ", "a": "40755 ", "a/b": "40755 ", "a/b/c": "100755 second",
		"bin": "40755 ", "bin/sh": "120777 busybox",
		"x": "40755 ", "x/sub": "40755 ", "x/sub/file": "100644 text", "x/run": "100750 #!", "x/link": "120777 sub/file",
		"one": "40755 ", "one/file": "100644 text",
	}
	for name := range want {
		// The mode of t.TempDir itself is not ours to say.
		if name != "x" && got[name] != want[name] {
			t.Errorf("%s: got %q, want %q", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d: %q", len(got), len(want), got)
	}
	for range 5 {
		if !bytes.Equal(text, pack(t, fill())) {
			t.Fatal("the same content gives other bytes")
		}
	}
}

func TestArchiveRefusesDevices(t *testing.T) {
	if err := newArchive().tree("/x", os.DevNull); err == nil {
		t.Error("a device was added")
	}
	if err := newArchive().tree("/x", "/nosuch"); err == nil {
		t.Error("what is not there was added")
	}
}

func TestGuestFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p := &Programs{busybox: hostBusybox(t), init: "/b/init", bin: []string{"/b/bulkdump", "/b/cat"}, test: "/b/bulkdump.test", testDir: dir,
		text: map[string][]byte{"/b/init": []byte("I"), "/b/bulkdump": []byte("B"), "/b/cat": []byte("C"), "/b/bulkdump.test": []byte("T")}}
	file("testdata/t", "data")
	k := &kernels.Kernel{Arch: arch.Host, Drivers: []kernels.OwnModule{{Name: "virtio", Text: []byte("V")}}}
	opts := &Options{Adds: []Addition{
		{file("f", "F"), ""}, {file("g", "G"), "/deep/h"}, {file("i", "J"), "/bin"}, {filepath.Join(dir, "testdata"), "/"},
	}}
	file("guest/m.ko", "M")
	g := &Guest{k, []string{file("m.ko", "M, and its symbols")}, p, &proto.Config{Token: "tok"}}
	a, err := g.files(opts)
	if err != nil {
		t.Fatal(err)
	}
	got := unpack(t, pack(t, a))
	for name, want := range map[string]string{
		"init": "100755 I", "bin/bulkdump": "100755 B", "bin/bulkdump.test": "100755 T", "lib/modules/virtio.ko": "100644 V",
		"lib/modules/m.ko": "100644 M", "test/testdata/t": "100644 data", "root/f": "100644 F", "deep/h": "100644 G",
		"bin/i": "100644 J", "t": "100644 data", "bin/sh": "120777 busybox", "sbin": "120777 /bin", "tmp": "41777 ",
		"bin/cat": "100755 C", // ours, not busybox's
	} {
		if got[name] != want {
			t.Errorf("%s: got %.40q, want %q", name, got[name], want)
		}
	}
	var cfg proto.Config
	mode, text, _ := strings.Cut(got[strings.TrimPrefix(proto.ConfigPath, "/")], " ")
	if err := json.Unmarshal([]byte(text), &cfg); err != nil || cfg.Token != "tok" || mode != "100600" {
		t.Errorf("config: mode %s, %v, %+v", mode, err, cfg)
	}
}
