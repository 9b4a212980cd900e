// SPDX-License-Identifier: BSD-3-Clause

package coverage

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestAdd(t *testing.T) {
	f := Files{
		"a.c": {"1", map[int]uint64{1: 0, 2: 3, 4: math.MaxUint64}},
		"b.c": {"1", map[int]uint64{1: 7}},
	}
	replaced := f.Add(Files{
		"a.c": {"1", map[int]uint64{1: 0, 2: 4, 3: 1, 4: 1}},
		"b.c": {"2", map[int]uint64{2: 1}},
		"c.h": {"1", map[int]uint64{9: 0}},
	})
	want := Files{
		"a.c": {"1", map[int]uint64{1: 0, 2: 7, 3: 1, 4: math.MaxUint64}},
		"b.c": {"2", map[int]uint64{2: 1}},
		"c.h": {"1", map[int]uint64{9: 0}},
	}
	if !reflect.DeepEqual(f, want) {
		t.Errorf("got %v", f)
	}
	if !slices.Equal(replaced, []string{"b.c"}) {
		t.Errorf("replaced: %q", replaced)
	}
	if lines, executed := f.Total(); lines != 6 || executed != 4 {
		t.Errorf("total: %d of %d", executed, lines)
	}
}

func TestTracefile(t *testing.T) {
	f := Files{
		"/m/b, c.c": {Version([]byte("x")), map[int]uint64{10: math.MaxUint64, 9: 0}},
		"/m/a.h":    {Version(nil), map[int]uint64{1: 2}},
	}
	var b strings.Builder
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "TN:\nSF:/m/a.h\nVER:e3b0c44298fc1c14\nDA:1,2\nLF:1\nLH:1\nend_of_record\n" +
		"SF:/m/b, c.c\nVER:2d711642b726b044\nDA:9,0\nDA:10,18446744073709551615\nLF:2\nLH:1\nend_of_record\n"
	if b.String() != want {
		t.Errorf("wrote %s", b.String())
	}
	file := filepath.Join(t.TempDir(), Name)
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(file); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("read %v, %v", got, err)
	}
	if got, err := Read(file + ".nosuch"); err != nil || len(got) != 0 {
		t.Errorf("of no file: %v, %v", got, err)
	}
}

func TestTracefileRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"SF:a\nDA:1,2\n":                    "cut off",
		"DA:1,2\n":                          "of no file",
		"SF:a\nDA:1\nend_of_record\n":       "line 2",
		"SF:a\nDA:x,1\nend_of_record\n":     "line 2",
		"SF:a\nDA:1,-1\nend_of_record\n":    "line 2",
		"SF:a\nDA:1,1\nend_of_record\nhi\n": "line 4",
	} {
		if files, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", text, files, err, want)
		}
	}
}
