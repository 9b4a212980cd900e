// SPDX-License-Identifier: BSD-3-Clause

package results

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bulkdump/vm/internal/proto"
)

const fixture = `static int twice;
int __attribute__((noinline)) callee(int x)
{
	return x + twice;
}
static inline __attribute__((always_inline)) int inner(int x)
{
	return callee(x) + 1;
}
int outer(int x)
{
	return inner(x) * 3;
}
__attribute__((section(".init.text"))) int begin(int x)
{
	return callee(x) + 7;
}
`

// fixtureModule compiles the fixture as a module is: relocatable, with two
// sections of code that both begin at 0.
func fixtureModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "my-mod.ko")
	src := filepath.Join(dir, "fix.c")
	if err := os.WriteFile(src, []byte(fixture), 0o644); err != nil {
		t.Fatal(err)
	}
	cc := exec.Command("gcc", "-g", "-O2", "-c", "-o", file, "fix.c")
	cc.Dir = dir
	if out, err := cc.CombinedOutput(); err != nil {
		t.Skipf("no compiler: %v %s", err, out)
	}
	return file
}

// afterCall is the offset of the instruction after the function's call.
func afterCall(t *testing.T, file, section, function string) string {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.Section(section).Data()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if s.Name == function {
			i := slices.Index(text[s.Value:s.Value+s.Size], 0xe8) // call
			if i < 0 {
				t.Skip("the compiler made no call")
			}
			return fmt.Sprintf("%s+%#x/%#x [my_mod]", function, i+5, s.Size)
		}
	}
	t.Fatalf("no %s", function)
	return ""
}

func TestDecode(t *testing.T) {
	file := fixtureModule(t)
	d := newDecoder("", []string{file})
	outer, begin := afterCall(t, file, ".text", "outer"), afterCall(t, file, ".init.text", "begin")
	in := []string{
		"[    7.000000] Call Trace:",
		"[    7.000000]  " + outer,
		"[    7.000000][  T12]  ? " + begin,
		"[    7.000000] RIP: 0010:" + "callee+0x0/0x10 [my_mod 0123abc]",
		"[    7.000000]  do_syscall_64+0x58/0xc0",
		"[    7.000000]  nosuch+0x5/0xc0 [my_mod]",
		"[    7.000000]  other+0x5/0xc0 [other]",
	}
	want := slices.Clone(in)
	want[1] += " (fix.c:8, inlined at fix.c:12)"
	want[2] += " (fix.c:16)"
	want[3] += " (fix.c:3)"
	got := d.decode(in)
	for i := range want {
		if g := strings.ReplaceAll(got[i], filepath.Dir(file)+"/", ""); g != want[i] {
			t.Errorf("got  %q\nwant %q", g, want[i])
		}
	}
}

// A leak's trace has bare addresses where the module is gone: the return
// address in outer, whose offset the symbols tell.
func TestDecodeModuleThatIsGone(t *testing.T) {
	file := fixtureModule(t)
	d := newDecoder("", []string{file})
	function, offset, _ := strings.Cut(strings.TrimSuffix(afterCall(t, file, ".text", "outer"), " [my_mod]"), "+")
	sym := d.symbols("my_mod").functions[function][0]
	var at, size uint64
	fmt.Sscanf(offset, "0x%x/0x%x", &at, &size)
	const base uint64 = 0xffffffffa0001000
	line := fmt.Sprintf("[    7.000000] kmemleak:     %#x", base+sym.Value+at)
	if got := d.decode([]string{line}); got[0] != line {
		t.Errorf("decoded without a place of the module: %q", got[0])
	}
	d.loaded = map[string]proto.Sections{"my_mod": {".text": "0xffffffffa0001000"}, "other": {".text": "0xffffffffa0001000"}}
	want := line + fmt.Sprintf(" outer+%#x/%#x [my_mod] (fix.c:8, inlined at fix.c:12)", at, size)
	if got := strings.ReplaceAll(d.decode([]string{line})[0], filepath.Dir(file)+"/", ""); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, other := range []string{
		"[    7.000000] kmemleak:     0xffffffffa0000fff",                               // below it
		"[    7.000000] kmemleak:     0xffffffffa0900000",                               // above it
		fmt.Sprintf("[    7.000000] RAX: %016x", base+sym.Value+at),                     // not of a leak
		fmt.Sprintf("[    7.000000] kmemleak: unreferenced object %#x (size 8):", base), // no place
	} {
		if got := d.decode([]string{other}); got[0] != other {
			t.Errorf("%q became %q", other, got[0])
		}
	}
}

// A kernel's own addresses are absolute: the test binary is a program.
func TestDecodeProgram(t *testing.T) {
	file := fixtureModule(t)
	program := strings.TrimSuffix(file, ".ko")
	if out, err := exec.Command("gcc", "-g", "-O2", "-nostdlib", "-static", "-Wl,-e,outer", "-o", program, file).CombinedOutput(); err != nil {
		// A relocatable file is an object, whatever its name.
		t.Skipf("%v %s", err, out)
	}
	got := newDecoder(program, nil).decode([]string{"RIP: 0010:callee+0x0/0x10"})
	if !strings.HasSuffix(got[0], "fix.c:3)") {
		t.Errorf("got %q", got)
	}
}

func TestPickSymbol(t *testing.T) {
	a, b, c := elf.Symbol{Value: 1, Size: 0x20}, elf.Symbol{Value: 2, Size: 0x95}, elf.Symbol{Value: 3, Size: 0x98}
	for _, tt := range []struct {
		all  []elf.Symbol
		size uint64
		want uint64
	}{
		{nil, 0x20, 0},
		{[]elf.Symbol{a}, 0x500, 1},
		{[]elf.Symbol{a, b}, 0xa0, 2},
		{[]elf.Symbol{a, b}, 0x30, 1},
		{[]elf.Symbol{a, b, c}, 0xa0, 0}, // either may be meant
	} {
		if got, ok := pickSymbol(tt.all, tt.size); got.Value != tt.want || ok != (tt.want != 0) {
			t.Errorf("%v of size %#x: %+v %v", tt.all, tt.size, got, ok)
		}
	}
}

func TestPlaceOf(t *testing.T) {
	for in, want := range map[string]string{
		"/build/0542a30d27b7/table.c:56 (discriminator 3)\n":               "table.c:56",
		"/build/0542a30d27b7/sub/x.c:5\n":                                  "sub/x.c:5",
		"/usr/src/linux-headers-6.1.0-50-common/include/net/netlink.h:9\n": "include/net/netlink.h:9",
		"/c/linux-source-7.3/./mm/slub.c:5\n/c/linux-source-7.3/a.c:7\n":   "mm/slub.c:5, inlined at a.c:7",
		"??:0\n":         "",
		"??:?\n":         "",
		"x.c:?\n":        "",
		"":               "",
		"/home/me/m.c:2": "/home/me/m.c:2",
	} {
		if got := placeOf(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
