// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeModule makes an object file that needs other modules; more are further
// lines of its .modinfo.
func fakeModule(t *testing.T, file, needs string, more ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	cc := exec.Command("gcc", "-xassembler", "-c", "-o", file, "-")
	info := ".section .modinfo,\"a\"\n"
	for _, line := range append([]string{"license=GPL", "depends=" + needs}, more...) {
		info += ".asciz \"" + line + "\"\n"
	}
	cc.Stdin = strings.NewReader(info)
	if out, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestModprobe(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "lib/modules/1.0")
	fakeModule(t, filepath.Join(dir, "kernel/net/top-one.ko"), "middle,other")
	fakeModule(t, filepath.Join(dir, "kernel/net/middle.ko"), "low")
	fakeModule(t, filepath.Join(dir, "kernel/net/other.ko"), "low")
	fakeModule(t, filepath.Join(dir, "kernel/net/low.ko"), "", "softdep=pre: early digest nosuch post: late", "softdep=post: later")
	fakeModule(t, filepath.Join(dir, "kernel/net/early.ko"), "")
	fakeModule(t, filepath.Join(dir, "kernel/crypto/digest_generic.ko"), "")
	fakeModule(t, filepath.Join(dir, "kernel/net/late.ko"), "")
	fakeModule(t, filepath.Join(dir, "kernel/net/lacks.ko"), "nosuch")
	if out, err := exec.Command("xz", "--check=crc32", filepath.Join(dir, "kernel/net/middle.ko")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, text := range map[string]string{
		"modules.order": "kernel/net/top-one.ko\nkernel/net/middle.ko\nkernel/net/other.ko\nkernel/net/low.ko\nkernel/gone.ko\n" +
			"kernel/net/early.ko\nkernel/crypto/digest_generic.ko\nkernel/net/late.ko\nkernel/net/lacks.ko\n",
		"modules.builtin": "kernel/net/always.ko\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	k := &Kernel{root: root, Release: "1.0"}
	if err := k.Modprobe(t.Context(), []string{"nosuch?", "top_one?", "always?", "low"}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range k.Own {
		names = append(names, m.Name)
		if !strings.HasPrefix(string(m.Text), "\x7fELF") {
			t.Errorf("%s is still packed", m.Name)
		}
	}
	if want := []string{"early", "digest_generic", "low", "middle", "other", "top-one"}; !slices.Equal(names, want) {
		t.Errorf("loaded in the order %q, want %q", names, want)
	}
	for _, bad := range []string{"nosuch", "gone", "gone?", "lacks?"} {
		if err := k.Modprobe(t.Context(), []string{bad}); err == nil || !strings.Contains(err.Error(), "--modprobe "+strings.TrimSuffix(bad, "?")) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	// A kernel without any module has all that it has.
	if err := (&Kernel{root: t.TempDir()}).Modprobe(t.Context(), []string{"always"}); err != nil {
		t.Error(err)
	}
}

func TestModprobeUsers(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "lib/modules/1.0")
	if err := os.MkdirAll(filepath.Join(dir, "kernel"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, code := range map[string]string{
		"a": "call offer", "b": "call offer_more", "c": "call offer_more\ncall offer",
		"d": ".globl offer\noffer: ret", // has it, and does not call it
	} {
		cc := exec.Command("gcc", "-xassembler", "-c", "-o", filepath.Join(dir, "kernel", name+".ko"), "-")
		cc.Stdin = strings.NewReader(".section .modinfo,\"a\"\n.asciz \"license=GPL\"\n.text\n" + code + "\n")
		if out, err := cc.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if out, err := exec.Command("xz", "--check=crc32", filepath.Join(dir, "kernel/a.ko")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	order := "kernel/d.ko\nkernel/c.ko\nkernel/b.ko\nkernel/a.ko\nkernel/elsewhere.ko\n"
	if err := os.WriteFile(filepath.Join(dir, "modules.order"), []byte(order), 0o644); err != nil {
		t.Fatal(err)
	}
	c := openCacheOf(t)
	for _, tt := range []struct {
		functions, want []string
		err             string
	}{
		{[]string{"offer"}, []string{"c", "a"}, "<nil>"},
		{[]string{"offer", "offer_more"}, []string{"c", "b", "a"}, "<nil>"},
		{[]string{"offer", "no_such"}, []string{"c", "a"}, "<nil>"},
		{[]string{"no_such", "nor_this"}, nil, "--modprobe-users: no module of 1.0 calls no_such or nor_this"},
	} {
		k := &Kernel{root: root, Release: "1.0"}
		if err := k.ModprobeUsers(t.Context(), c, tt.functions); fmt.Sprint(err) != tt.err {
			t.Errorf("%q: %v, want %s", tt.functions, err, tt.err)
		}
		var names []string
		for _, m := range k.Own {
			names = append(names, m.Name)
		}
		if !slices.Equal(names, tt.want) {
			t.Errorf("%q load %q, want %q", tt.functions, names, tt.want)
		}
	}
}
