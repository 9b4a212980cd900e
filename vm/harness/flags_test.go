// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/guest"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/harness/internal/machine"
)

func parse(t *testing.T, line ...string) *options {
	t.Helper()
	o, err := parseArgs(line)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return o
}

func TestParseArgsDefaults(t *testing.T) {
	o := parse(t, "--top", "/p", "ls", "-l")
	want := &options{Settings: machine.Settings{
		Options: guest.Options{Arch: arch.Host, Top: "/p", TestDir: "/p/test", Params: map[string][]string{}, Args: []string{"ls", "-l"}},
		Kernel:  "6.1", Accel: "auto", CPUs: 2, Mem: 2048, ModuleDir: "/p/kmod"}}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("got %+v\nwant %+v", o, want)
	}
}

func TestParseArgsFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a:b")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	o := parse(t, "--top=/p", "--kernel", "6.1", "--accel=tcg", "--cpus=4", "--cpu-features", "a=on,b=off", "--mem", "512", "--timeout", "5", "--no-module",
		"--module-dir", "/tmp", "--param", "a.x=1", "--param=a.y=2,3", "--add", file, "--add", file+":/x", "--add", "/:/y",
		"--env", "A=b=c", "--env=B=", "--out", "/o", "--boot-timeout", "7", "--append", "x=1,2", "--append=y", "--", "--cpus", "9")
	want := &options{Settings: machine.Settings{
		Options: guest.Options{Arch: arch.Host, Top: "/p", TestDir: "/p/test", NoModule: true,
			Params: map[string][]string{"a": {"x=1", "y=2,3"}}, Adds: []guest.Addition{{Host: file}, {Host: file, Guest: "/x"}, {Host: "/", Guest: "/y"}},
			Env: []string{"A=b=c", "B="}, Args: []string{"--cpus", "9"}},
		Kernel: "6.1", Accel: "tcg", CPUs: 4, Features: "a=on,b=off", Mem: 512, Timeout: 5 * time.Second,
		BootLimit: 7 * time.Second, KernelArgs: []string{"x=1,2", "y"}, ModuleDir: "/tmp", OutDir: "/o"}}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("got %+v\nwant %+v", o, want)
	}
}

func TestParseArgsModes(t *testing.T) {
	if o := parse(t, "--icount", "x"); o.Accel != "tcg" || o.CPUs != 1 || !o.ICount {
		t.Errorf("--icount: %+v", o)
	}
	if o := parse(t, "--shell"); !o.Shell || len(o.Args) != 0 {
		t.Errorf("--shell: %+v", o)
	}
	if o := parse(t, "--out", "o", "x"); !filepath.IsAbs(o.OutDir) {
		t.Errorf("--out: %q is not absolute", o.OutDir)
	}
	if o := parse(t, "--kernel", "debug", "--coverage", "c", "x"); !filepath.IsAbs(o.coverageDir) || !o.builds()[0].Counted {
		t.Errorf("--coverage: %q, %+v", o.coverageDir, o.builds())
	}
	if o := parse(t, "--coverage", "c", "--matrix", "debug"); !o.builds()[0].Counted {
		t.Error("--coverage --matrix of a kernel that counts: the modules do not")
	}
	if o := parse(t, "--test-dir", "/tmp", "--matrix", "6.1"); !o.matrix || o.TestDir != "/tmp" || !slices.Equal(o.Args, []string{"6.1"}) {
		t.Errorf("--matrix: %+v", o)
	}
	for _, tt := range []struct {
		line  string
		regex string
		args  []string
	}{
		{"--test", "", nil},
		{"--test TestA", "TestA", nil},
		{"--test TestA -- -test.count=3 -test.v", "TestA", []string{"-test.count=3", "-test.v"}},
		{"--test -- -test.count=3", "", []string{"-test.count=3"}},
		{"--test --cpus 1 TestA", "TestA", nil},
	} {
		o := parse(t, strings.Fields(tt.line)...)
		if !o.Test || o.TestRegex != tt.regex || !slices.Equal(o.Args, tt.args) {
			t.Errorf("%s: regex %q, args %q", tt.line, o.TestRegex, o.Args)
		}
	}
}

func TestParseArgsRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"":                           "no command given",
		"--":                         "no command given",
		"--frob x":                   "unknown flag: --frob",
		"--kernel 5.10 x":            "of amd64 there are 6.1",
		"--kernel arm64:s390x:6.1 x": "of arm64 there are 6.1",
		"--kernel riscv64 x":         "that is a machine; of its kernels, one is riscv64:6.12",
		"--kernel sparc:6.1 x":       `machine "sparc": it is none of amd64, `,
		"--kernel":                   "flag needs an argument: --kernel",
		"--accel hvf x":              "--accel hvf: it is auto, kvm or tcg",
		"--cpus 0 x":                 `"0" for "--cpus" flag: it is a number from 1 to 64`,
		"--cpus many x":              `"many" for "--cpus" flag: it is a number from 1 to 64`,
		"--cpu-features erms=off, x": `"" is not NAME=VALUE`,
		"--cpu-features erms x":      `"erms" is not NAME=VALUE`,
		"--mem 64 x":                 `"64" for "--mem" flag: it is a number from 128`,
		"--timeout 0 x":              `"0" for "--timeout" flag: it is a number from 1`,
		"--timeout -1 x":             `"-1" for "--timeout" flag: it is a number from 1`,
		"--boot-timeout 0 x":         `"0" for "--boot-timeout" flag: it is a number from 1`,
		"--test-dir /nosuch --test":  "for \"--test-dir\" flag: stat /nosuch: no such file",
		"--module-dir /dev/null x":   "for \"--module-dir\" flag: it is no directory",
		"--more-modules /nosuch x":   "stat /nosuch: no such file",
		"--expect= x":                "any line matches it",
		"--test-dir . x":             "--test-dir needs --test",
		"--icount --accel kvm x":     "only TCG does",
		"--icount --cpus 2 x":        "one processor",
		"--test --shell":             "exclude each other",
		"--shell ls":                 "--shell takes no command",
		"--shell -- ls":              "--shell takes no command",
		"--no-module --module a x":   "exclude each other",
		"--prepare --test":           "goes with none of",
		"--prepare --matrix":         "goes with none of",
		"--prepare --kernel debug":   "goes with none of",
		"--matrix --shell":           "goes with none of",
		"--kernel ./nosuch x":        "no such file",
		"--test Test(":               "--test Test(",
		"--test TestA --cpus 1":      "flags come before",
		"--test TestA TestB":         "flags come before",
		"--test -- -test.run=TestA":  "by --test REGEX",
		"--test -- -test.skip TestA": "by --test REGEX",
		"--param x=1 x":              "MODULE.NAME=VALUE",
		"--param .x=1 x":             "MODULE.NAME=VALUE",
		"--param a.x x":              "MODULE.NAME=VALUE",
		"--env A x":                  "NAME=VALUE",
		"--env =b x":                 "NAME=VALUE",
		"--add /nosuch x":            "no such file",
		"--add /nosuch:/x x":         "no such file",
		"--add /:/proc/x x":          "mounts something on /proc",
		"--add /:/x/../dev x":        "mounts something on /dev",
		"--add /:relative x":         "must be absolute",
		"--icount=maybe x":           `"--icount"`,
		"--coverage c --test":        "kernel 6.1 lacks CONFIG_GCOV_KERNEL=y",
		"--coverage c --matrix":      "kernel 6.1 lacks CONFIG_GCOV_KERNEL=y",
		"--coverage c --kernel debug --no-module x": "--no-module builds none",
		"--no-module --more-modules . x":            "--no-module builds none",
		"--no-module --make A=b x":                  "--no-module builds none",
		"--expect ( x":                              "missing closing )",
		"--expect x --prepare":                      "--prepare runs nothing",
		"--make A x":                                "NAME=VALUE",
	} {
		_, err := parseArgs(strings.Fields(line))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
	for _, help := range []string{"-h", "--help"} {
		if _, err := parseArgs([]string{help}); !errors.Is(err, errHelp) {
			t.Errorf("%s: %v", help, err)
		}
	}
}

// The usage text has every flag, and no other.
func TestUsageNamesEveryFlag(t *testing.T) {
	var told, want []string
	for _, m := range regexp.MustCompile(`(?m)^  (?:-h, )?--([a-z-]+)`).FindAllStringSubmatch(usage, -1) {
		told = append(told, m[1])
	}
	(&options{}).flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "top" { // vm/run gives it
			want = append(want, f.Name)
		}
	})
	want = append(want, "help")
	slices.Sort(told)
	slices.Sort(want)
	if !slices.Equal(told, want) {
		t.Errorf("usage has %s\nwant      %s", told, want)
	}
	for line := range strings.Lines(usage) {
		if len(line) > 81 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}

// The project's modules, wherever they lie in it, are built with all checks.
func TestBuildChecks(t *testing.T) {
	for dir, want := range map[string][]string{
		"/p/kmod": kernels.OwnChecks(arch.Host), "/p/vm/selftest/kmod": kernels.OwnChecks(arch.Host), "/m": nil, "/pp/kmod": nil,
	} {
		o := &options{Settings: machine.Settings{Options: guest.Options{Arch: arch.Host, Top: "/p"}, ModuleDir: dir}}
		if got := o.builds(); !reflect.DeepEqual(got, []kernels.Build{{Dir: dir, Checks: want}}) {
			t.Errorf("%s: %+v, want %q", dir, got, want)
		}
	}
}

func TestMoreModules(t *testing.T) {
	top, more := t.TempDir(), t.TempDir()
	own := filepath.Join(top, "kmod")
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	o := parse(t, "--top", top, "--make", "A=b c", "--module-dir", own, "--more-modules", more, "--make=D=", "ls")
	vars := []string{"A=b c", "D="}
	want := []kernels.Build{{Dir: own, Checks: kernels.OwnChecks(arch.Host), Make: vars}, {Dir: more, Make: vars}}
	if got := o.builds(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestAddPackages(t *testing.T) {
	o := parse(t, "--packages", "python3,iproute2", "--packages=iproute2,g++", "ls")
	if len(o.Packages) != 3 || o.Packages[2] != "g++" {
		t.Errorf("got %q", o.Packages)
	}
	for _, bad := range []string{"", "a,", "a b", "-x", "a/trixie", "A1"} {
		if _, err := parseArgs([]string{"--packages", bad, "ls"}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestIsHere(t *testing.T) {
	for command, want := range map[string]bool{"./flags_test.go": true, "flags_test.go": false, "./nosuch": false, "./": false} {
		if got := parse(t, command).isHere(); got != want {
			t.Errorf("%s: %t", command, got)
		}
	}
}

func TestAgain(t *testing.T) {
	for _, tt := range []struct {
		args  []string
		regex string
		want  string
	}{
		{[]string{"--cpus", "1", "--", "sh", "-c", "it's $A"}, "", `/p/vm/run --cpus 1 -- sh -c 'it'\''s $A'`},
		{[]string{"false"}, "", "/p/vm/run -- false"},
		{[]string{"--out", "a b", "--test"}, "^(TestX)$", "/p/vm/run --out 'a b' --test '^(TestX)$'"},
		{[]string{"--test", "Test"}, "^(TestX|TestY)$", "/p/vm/run --test '^(TestX|TestY)$'"},
		{[]string{"--test", "--cpus", "1", "Test", "--", "-test.count=3"}, "^(TestX)$", "/p/vm/run --test --cpus 1 '^(TestX)$' -- -test.count=3"},
		{[]string{"--test", "--", "-test.v"}, "", "/p/vm/run --test -- -test.v"},
		{[]string{"--test", "TestX/sub"}, "TestX/sub", "/p/vm/run --test TestX/sub"},
		{[]string{"--test", ""}, "^(TestX)$", "/p/vm/run --test '^(TestX)$'"},
		{[]string{"--test", "Some"}, "Some", "/p/vm/run --test Some"},
	} {
		o := parse(t, append([]string{"--top", "/p"}, tt.args...)...)
		if got := o.again(tt.args, tt.regex); got != tt.want {
			t.Errorf("%q:\ngot  %s\nwant %s", tt.args, got, tt.want)
		}
	}
	if got := withoutTop([]string{"--top", "/p", "x"}); len(got) != 1 || got[0] != "x" {
		t.Errorf("got %q", got)
	}
}
