// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"slices"
	"strings"
	"testing"

	"bulkdump/vm/harness/internal/hosttest"
)

func TestReadSources(t *testing.T) {
	dir := hosttest.MakeTree(t, "Kbuild", "a.c", "sub/b.h", "a.mod.c", "a.o", "a.ko", "README.md", "Kconfig", "trace.S")
	sources, err := readSources(dir)
	var names []string
	for _, s := range sources {
		names = append(names, s.name)
	}
	if want := []string{"Kbuild", "Kconfig", "a.c", "sub/b.h", "trace.S"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v; want %q", names, err, want)
	}
	if _, err := readSources(hosttest.MakeTree(t, "a.c")); err == nil {
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
		got, err := PickModule(strings.Fields(tt.files), tt.asked)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q of %s: got %s, want %s", tt.asked, tt.files, got, tt.want)
		}
	}
}
