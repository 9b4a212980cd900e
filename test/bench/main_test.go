// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkdump/test/bench/figure"
)

func TestTakeLines(t *testing.T) {
	var r figure.Report
	err := takeLines(strings.NewReader(`{"clock":{"kernel":"6.1","ns_per_instruction":1}}
{"figure":{"kernel":"6.1","contender":"go plain","entries":10,"records":10,"instructions":100}}
{"speedup":{"kernel":"6.1","reader":"go plain, 2 sockets","entries":10,"times":1.5}}
`), &r, io.Discard)
	if len(r.Speedups) != 1 || r.Speedups[0] != (figure.Speedup{Kernel: "6.1", Reader: "go plain, 2 sockets", Entries: 10, Times: 1.5}) {
		t.Errorf("%+v", r.Speedups)
	}
	if err != nil || len(r.Clocks) != 1 || len(r.Figures) != 1 || r.Figures[0].Cost() != 10 || r.Clocks[0].NS != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := takeLines(strings.NewReader("Killed\n"), &r, io.Discard); err == nil {
		t.Error("a line that is no figure is taken")
	}
}

func TestProcessor(t *testing.T) {
	const said = "vm: building\nvm: booting 6.1.0-50-amd64 with -accel tcg -icount shift=0 -cpu max, cpus: 1, 2048 MiB\nvm: PASS\n"
	if got := processor(said); got != "-accel tcg -icount shift=0 -cpu max, cpus: 1, 2048 MiB" {
		t.Errorf("%q", got)
	}
}

func TestFlags(t *testing.T) {
	f, err := parseFlags([]string{"-kernels", "6.1 ./tree", "-sizes", "1000 2000"})
	if err != nil || strings.Join(f.kernels, "|") != "6.1|./tree" || strings.Join(f.sizes, "|") != "1000|2000" {
		t.Errorf("%+v, %v", f, err)
	}
	for _, bad := range []string{"-sizes=many", "-sizes=10", "-nosuch", "word", "-run=(", "-parallel=10"} {
		if _, err := parseFlags([]string{bad}); err == nil {
			t.Errorf("%s is understood", bad)
		}
	}
}

// What is wrong with a file is told before anything is measured.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string // of the error
	}{
		{[]string{"-readme=README.md", "-keep=figures.json", "-run=go", "-out=" + dir}, ""},
		{[]string{"-keep=" + dir + "/new"}, ""},
		{[]string{"-keep=" + dir + "/new", "-run=go"}, "no such file"},
		{[]string{"-keep=" + file, "-run=go"}, file + ": unexpected end of JSON input"},
		{[]string{"-readme=" + file}, file + ": it has no place for the tables"},
		{[]string{"-out=" + file}, "not a directory"},
	} {
		f, err := parseFlags(tt.args)
		if err != nil {
			t.Fatal(err)
		}
		err = f.files()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
}

func TestLearned(t *testing.T) {
	const figureLine = `{"figure":{"kernel":"6.1","contender":"go plain","entries":10,"records":10,"instructions":100},"program":"bench-raw"}` + "\n"
	symbols, l, err := learned([]byte(figureLine + "ffffffff810be1c0 T __x64_sys_getppid\n"))
	if err != nil || l.Figure.Cost() != 10 || l.Program != "bench-raw" || symbols.Address(markFunction) != 0xffffffff810be1c0 {
		t.Errorf("%+v, %v", l, err)
	}
	for _, bad := range []string{"", "{}\n", figureLine, figureLine + "ffffffff810be1c0 T another\n", figureLine + "what\n",
		strings.Replace(figureLine, "bench-raw", "", 1) + "ffffffff810be1c0 T __x64_sys_getppid\n"} {
		if _, _, err := learned([]byte(bad)); err == nil {
			t.Errorf("%q is understood", bad)
		}
	}
}

func TestJudge(t *testing.T) {
	report := func(instructions uint64) *figure.Report {
		return &figure.Report{Figures: []figure.Figure{{Contender: figure.Ours, Records: 10, Instructions: instructions}}}
	}
	if err := judge(report(1000), report(1010)); err != nil {
		t.Error(err)
	}
	if err := judge(report(1000), report(1030)); err == nil {
		t.Error("3 % are not found")
	}
}

func TestMemory(t *testing.T) {
	if got := memory([]string{"1000000", "20000"}); got != 1024+1464 {
		t.Errorf("%d MiB", got)
	}
}

// The cache in which the profile's plugin looks forgets what was not used for longest.
func TestCache(t *testing.T) {
	program := filepath.Join(t.TempDir(), "cache")
	if err := compile(t.Context(), program, "c/cache_test.c"); err != nil {
		t.Fatal(err)
	}
	if err := command(t.Context(), ".", program).Run(); err != nil {
		t.Errorf("line of cache_test.c: %v", err)
	}
}
