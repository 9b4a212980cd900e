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
