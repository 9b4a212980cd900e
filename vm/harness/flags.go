// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/guest"
	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/harness/internal/machine"
)

const usage = `Usage: vm/run [FLAGS] [--] COMMAND [ARG…]
       vm/run [FLAGS] --test [REGEX] [-- TESTFLAG…]
       vm/run [FLAGS] --shell
       vm/run [FLAGS] --matrix [KERNEL…]
       vm/run [FLAGS] --prepare [KERNEL…]

Boots a real kernel in QEMU, loads bulkdump.ko, and runs COMMAND in the guest,
with the project's programs and busybox on PATH. Relays the output of COMMAND,
and exits with its status, but only if everything else was clean, too.

What runs:
  COMMAND [ARG…]        exactly these arguments; a line for the guest's sh if
                        one is a bare shell operator ('&&' '|' '>' …), or if
                        there is only one, and it has spaces
  --test [REGEX]        the Go test suite of ./test; REGEX as in go test -run
  --test-dir DIR        the tests of the Go package in DIR instead
  --matrix [KERNEL…]    --test on each kernel (default: all but kmsan), two at
                        a time, and a table of the results; --out has a
                        directory for each kernel. ARCH:KERNEL is of another
                        machine, and ARCH: all of that machine (but 64k)
  --only REGEX          with --matrix: of the tests, these
  --prepare [KERNEL…]   nothing: fetch or build each kernel (default: all but
                        kmsan) and the modules for it, for later runs
  --shell               a shell on your terminal; leave it with exit or ^D, and
                        a guest that hangs with ^] three times
On what:
  --arch NAME           the machine: amd64 (default), arm64, armhf, i386,
                        ppc64el, riscv64 or s390x. Debian has not each kernel
                        for each of them; debug, kcsan, kmsan and your own
                        are for amd64, and 64k for arm64
  --kernel NAME         6.1 (default), 6.12 or 7.3: Debian's; debug, kcsan or
                        kmsan: built from the newest source, to find errors,
                        data races or memory that nobody wrote; 64k: built
                        from it, with pages of 64 KiB; or the directory,
                        with a / in its name, of a kernel that you built
  --accel auto|kvm|tcg  auto (default) uses KVM if a guest really runs on it
  --cpus N              processors, default 2
  --cpu-features LIST   what they have or have not, after their name in QEMU's
                        -cpu, such as erms=off,fsrm=off
  --mem MIB             memory, default 2048
  --append ARG          add to the kernel's command line (repeatable)
  --icount              guest time counts instructions: for repeatable figures
                        (TCG, one processor)
With what:
  --no-module           neither build nor load the project's module
  --module-dir DIR      build the modules of DIR instead of kmod/; all are put
                        into the guest's /lib/modules, and one is loaded
  --more-modules DIR    build those of DIR, too, for the command to load
                        (repeatable)
  --make NAME=VALUE     set a variable of make when modules are built, such
                        as KCFLAGS=-Og (repeatable)
  --module NAME         load this one, if there are several
  --param MODULE.K=V    a parameter for a module that is loaded (repeatable)
  --add FILE[:PATH]     put FILE (or a directory) into the guest, by default
                        into the command's directory, /root (repeatable)
  --packages NAME,…     put Debian packages and their dependencies into the
                        guest, unpacked; their programs come before busybox's
                        (repeatable)
  --modprobe NAME       load the kernel's own module NAME, and what it needs,
                        before the project's; NAME?: if the kernel has it
                        (repeatable)
  --modprobe-users FUNC
                        load each of the kernel's own modules that calls
                        FUNC, such as genl_register_family (repeatable)
  --env K=V             set in the command's environment (repeatable)
How:
  --expect REGEXP       the kernel's log has a report, such as a WARNING, with a
                        line that matches; that is no failure then, and its
                        absence is one (repeatable)
  --timeout S           seconds for COMMAND; default 900 with TCG, 300 with KVM
  --boot-timeout S      seconds for the boot; default 60 with TCG, 20 with KVM
                        (both defaults are three times as long with --icount,
                        four times as long on debug, kcsan, kmsan)
  --out DIR             write console.log, kernel.log, stdout, stderr,
                        verdict.txt and summary.json there; with --test also
                        test.json, junit.xml and results.ktap; of a guest that
                        hung, machine.txt: where its processors were
  --coverage DIR        count which lines of the modules the guest executes;
                        add them to coverage.info and coverage.html in DIR,
                        and print a table (only on a kernel with
                        CONFIG_GCOV_KERNEL, such as debug)
  --gdb                 load the modules, then wait for gdb before the command
                        starts; print the line to type; no limits
  --keep DIR            write kernel, initramfs, modules and command line there,
                        and a script that boots them again
  -h, --help            this text

Exit status: the command's own (128+N when signal N killed it), or
  121  the harness failed, or was called wrongly
  122  the command ran, but the kernel's log, taint or the unload is not clean
  123  the command, or what follows it, took longer than its limit
  124  the command was never started (no boot, a module that does not load), or
       the guest panicked or went away without its last word
The last line on stderr is the verdict, which says which it is.

Examples:
  vm/run -- bulkdump fill 1000000 '&&' bulkdump dump -o count
  vm/run --test TestDump -- -test.count=3
  vm/run --no-module --add my.ko -- sh -c 'insmod my.ko && my-test'
  vm/run --icount -- bulkdump cursors
`

var (
	errHelp      = errors.New("help")
	errNoCommand = errors.New("no command given")
)

// flags sets the defaults, and returns the flags that change them.
func (o *options) flags() *pflag.FlagSet {
	o.Arch, o.CPUs, o.Mem, o.Params = arch.Host, 2, 2048, map[string][]string{}
	f := pflag.NewFlagSet("vm/run", pflag.ContinueOnError)
	f.SetInterspersed(false)
	f.Usage = func() {}
	f.StringVar(&o.Top, "top", ".", "")
	f.Func("arch", "", func(v string) (err error) {
		o.Arch, err = arch.Find(v)
		return err
	})
	f.StringVar(&o.Kernel, "kernel", "", "")
	f.StringVar(&o.Accel, "accel", "auto", "")
	number := func(name string, first, last int, set func(int)) {
		f.Func(name, "", func(v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < first || n > last {
				return fmt.Errorf("it is a number from %d to %d", first, last)
			}
			set(n)
			return nil
		})
	}
	number("cpus", 1, 64, func(n int) { o.CPUs = n })
	f.Func("cpu-features", "", func(v string) error {
		for f := range strings.SplitSeq(v, ",") {
			if name, value, _ := strings.Cut(f, "="); name == "" || value == "" {
				return fmt.Errorf("%q is not NAME=VALUE", f)
			}
		}
		o.Features = v
		return nil
	})
	number("mem", 128, 1<<20, func(n int) { o.Mem = n })
	number("timeout", 1, 7*24*3600, func(n int) { o.Timeout = time.Duration(n) * time.Second })
	number("boot-timeout", 1, 24*3600, func(n int) { o.BootLimit = time.Duration(n) * time.Second })
	f.BoolVar(&o.ICount, "icount", false, "")
	f.BoolVar(&o.NoModule, "no-module", false, "")
	directory := func(name string, set func(dir string)) {
		f.Func(name, "", func(v string) error {
			info, err := os.Stat(v)
			if err == nil && !info.IsDir() {
				err = errors.New("it is no directory")
			}
			set(v)
			return err
		})
	}
	directory("module-dir", func(dir string) { o.ModuleDir = dir })
	directory("more-modules", func(dir string) { o.moreModules = append(o.moreModules, dir) })
	f.Func("make", "", func(v string) error { return addSetting(&o.make, v) })
	f.StringVar(&o.Module, "module", "", "")
	f.Func("param", "", o.addParam)
	f.Func("add", "", func(v string) error {
		a, err := guest.ParseAddition(v)
		o.Adds = append(o.Adds, a)
		return err
	})
	f.Func("packages", "", o.addPackages)
	f.StringArrayVar(&o.modprobe, "modprobe", nil, "")
	f.StringArrayVar(&o.users, "modprobe-users", nil, "")
	f.Func("env", "", func(v string) error { return addSetting(&o.Env, v) })
	f.Func("expect", "", func(v string) error {
		if v == "" {
			return errors.New("any line matches it")
		}
		re, err := regexp.Compile(v)
		o.expect = append(o.expect, re)
		return err
	})
	f.StringArrayVar(&o.KernelArgs, "append", nil, "")
	f.StringVar(&o.OutDir, "out", "", "")
	f.StringVar(&o.coverageDir, "coverage", "", "")
	f.BoolVar(&o.Test, "test", false, "")
	directory("test-dir", func(dir string) { o.TestDir = dir })
	f.BoolVar(&o.Shell, "shell", false, "")
	f.BoolVar(&o.GDB, "gdb", false, "")
	f.StringVar(&o.keepDir, "keep", "", "")
	f.BoolVar(&o.matrix, "matrix", false, "")
	f.StringVar(&o.only, "only", "", "")
	f.BoolVar(&o.prepare, "prepare", false, "")
	return f
}

// parseArgs reads the command line. Flags end at the first word that is not one.
func parseArgs(args []string) (*options, error) {
	o := &options{}
	f := o.flags()
	if err := f.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return nil, errHelp
	} else if err != nil {
		return nil, err
	}
	o.Args = f.Args()
	if o.Test && f.ArgsLenAtDash() != 0 {
		if err := o.takeRegex(); err != nil {
			return nil, err
		}
	}
	return o, o.check(f)
}

// takeRegex takes the regular expression after --test. The rest is for the test
// binary.
func (o *options) takeRegex() error {
	if len(o.Args) == 0 {
		return nil
	}
	o.TestRegex, o.Args = o.Args[0], o.Args[1:]
	if len(o.Args) > 0 {
		if o.Args[0] != "--" {
			return fmt.Errorf("%s after --test %s: flags come before --test, those of the test binary after --", o.Args[0], o.TestRegex)
		}
		o.Args = o.Args[1:]
	}
	return nil
}

// check refuses flags that contradict each other, and sets what others imply.
func (o *options) check(f *pflag.FlagSet) error {
	for flag, regex := range map[string]string{"--test": o.TestRegex, "--only": o.only} {
		if _, err := guest.SelectTests(nil, regex); err != nil {
			return fmt.Errorf("%s %s: %w", flag, regex, err)
		}
	}
	if err := o.checkKernel(); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{"auto", "kvm", "tcg"}, o.Accel):
		return fmt.Errorf("--accel %s: it is auto, kvm or tcg", o.Accel)
	case o.TestDir != "" && !o.Test && !o.matrix:
		return errors.New("--test-dir needs --test or --matrix")
	case o.Test && o.Shell:
		return errors.New("--test and --shell exclude each other")
	case o.Shell && len(o.Args) > 0:
		return fmt.Errorf("--shell takes no command, and %q is one; type it in the shell", o.Args[0])
	case o.matrix && (o.Test || o.Shell || o.GDB || o.keepDir != "" || f.Changed("kernel")):
		return errors.New("--matrix runs --test on each of KERNEL…; it goes with none of --test, --shell, --gdb, --keep, --kernel")
	case o.prepare && (o.Test || o.Shell || o.GDB || o.keepDir != "" || o.matrix || f.Changed("kernel")):
		return errors.New("--prepare makes each of KERNEL… ready; it goes with none of --test, --shell, --gdb, --keep, --matrix, --kernel")
	case o.prepare && o.expect != nil:
		return errors.New("--prepare runs nothing whose log could have what --expect says")
	case o.only != "" && !o.matrix:
		return errors.New("--only is for --matrix; a run has --test REGEX")
	case len(o.Args) == 0 && !o.Test && !o.Shell && !o.matrix && !o.prepare:
		return errNoCommand
	case o.Module != "" && o.NoModule:
		return errors.New("--module and --no-module exclude each other")
	case o.NoModule && (o.moreModules != nil || o.make != nil):
		return errors.New("--no-module builds none: it does not go with --more-modules and --make")
	case o.ICount && o.Accel == "kvm":
		return errors.New("--icount counts instructions, which only TCG does")
	case o.ICount && f.Changed("cpus") && o.CPUs != 1:
		return errors.New("--icount has one processor")
	}
	if o.coverageDir != "" {
		if err := o.checkCoverage(); err != nil {
			return err
		}
	}
	if o.Test {
		for _, a := range o.Args {
			if i := slices.IndexFunc(choosing, func(c string) bool { return strings.HasPrefix(a, c) }); i >= 0 {
				return fmt.Errorf("%s: which tests are expected is said by --test REGEX", a)
			}
		}
	}
	if o.ICount {
		o.Accel, o.CPUs = "tcg", 1
	}
	if o.ModuleDir == "" {
		o.ModuleDir = o.ownModules()
	}
	if o.TestDir == "" {
		o.TestDir = o.OwnTests()
	}
	return o.absolute()
}

// checkKernel refuses a kernel that this machine does not have. The default is the
// oldest one that it has.
func (o *options) checkKernel() (err error) {
	if o.Kernel == "" {
		names, err := kernels.Chosen(o.Arch, "--kernel", nil)
		if err == nil {
			o.Kernel = names[0]
		}
		return err
	}
	if err = kernels.Check(o.Arch, o.Kernel); err != nil {
		return fmt.Errorf("--kernel %s: %w", o.Kernel, err)
	}
	o.Arch, o.Kernel = kernels.Of(o.Arch, o.Kernel)
	if kernels.IsTree(o.Kernel) {
		o.Kernel, err = filepath.Abs(o.Kernel)
	}
	return err
}

// checkCoverage refuses a kernel that counts nothing.
func (o *options) checkCoverage() error {
	if o.NoModule {
		return errors.New("--coverage counts what the modules of --module-dir execute, and --no-module builds none")
	}
	names := []string{o.Kernel}
	if o.matrix || o.prepare {
		var err error
		if names, err = kernels.Chosen(o.Arch, "KERNEL", o.Args); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := kernels.CheckCounting(name); err != nil {
			return fmt.Errorf("--coverage: %w", err)
		}
	}
	return nil
}

// choosing are the flags of a test binary that change which tests it runs.
var choosing = []string{"-test.run", "-test.skip", "-test.list"}

// absolute makes the paths absolute: programs start in other directories.
func (o *options) absolute() (err error) {
	paths := []*string{&o.Top, &o.ModuleDir, &o.TestDir, &o.OutDir, &o.coverageDir, &o.keepDir}
	for i := range o.moreModules {
		paths = append(paths, &o.moreModules[i])
	}
	for _, p := range paths {
		if *p != "" && err == nil {
			*p, err = filepath.Abs(*p)
		}
	}
	return err
}

func addSetting(to *[]string, v string) error {
	if k, _, ok := strings.Cut(v, "="); !ok || k == "" {
		return errors.New("it is NAME=VALUE")
	}
	*to = append(*to, v)
	return nil
}

func (o *options) addParam(v string) error {
	module, param, ok := strings.Cut(v, ".")
	if !ok || module == "" || !strings.Contains(param, "=") {
		return errors.New("it is MODULE.NAME=VALUE")
	}
	o.Params[module] = append(o.Params[module], param)
	return nil
}

func (o *options) ownModules() string { return filepath.Join(o.Top, "kmod") }

// builds says which modules are built, and how.
func (o *options) builds() []kernels.Build {
	builds := []kernels.Build{{Dir: o.ModuleDir, Counted: o.coverageDir != ""}}
	for _, dir := range o.moreModules {
		builds = append(builds, kernels.Build{Dir: dir})
	}
	for i := range builds {
		// All that lies in the project is its own.
		if rel, err := filepath.Rel(o.Top, builds[i].Dir); err == nil && filepath.IsLocal(rel) {
			builds[i].Checks = kernels.OwnChecks(o.Arch)
		}
		builds[i].Make = o.make
	}
	return builds
}

var packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)

// addPackages takes NAME or NAME,NAME….
func (o *options) addPackages(v string) error {
	for name := range strings.SplitSeq(v, ",") {
		if !packageName.MatchString(name) {
			return fmt.Errorf("%q is not the name of a package", name)
		}
		if !slices.Contains(o.Packages, name) {
			o.Packages = append(o.Packages, name)
		}
	}
	return nil
}

// options is what the command line says.
type options struct {
	machine.Settings
	modprobe []string // the kernel's own modules
	users    []string // functions whose callers among them are loaded, too
	keepDir  string

	moreModules []string // directories of modules that the command may load
	make        []string // variables, for the build of all modules

	matrix  bool   // of the kernels that are the arguments
	only    string // the tests of the matrix
	prepare bool   // those kernels, and run nothing

	expect []*regexp.Regexp // lines of reports in the kernel's log

	coverageDir string // add what the modules executed to the files there
}

// withoutTop removes the flag that vm/run puts in front of the arguments.
func withoutTop(args []string) []string {
	if len(args) >= 2 && args[0] == "--top" {
		return args[2:]
	}
	return args
}

// flagWords are the user's arguments before the command, the regular expression
// or the kernels.
func (o *options) flagWords(args []string) []string {
	words := args[:len(args)-len(o.Args)]
	if n := len(words); n > 0 && words[n-1] == "--" {
		words = words[:n-1]
	}
	if n := len(words); o.Test && n > 0 && words[n-1] == o.TestRegex {
		words = words[:n-1]
	}
	return words
}

// again is the line that repeats a run. Of the tests, it repeats those that regex
// chooses.
func (o *options) again(args []string, regex string) string {
	words := append([]string{o.runPath()}, o.flagWords(args)...)
	if o.Test && regex != "" {
		words = append(words, regex)
	}
	if len(o.Args) > 0 {
		words = append(append(words, "--"), o.Args...)
	}
	for i, w := range words {
		words[i] = host.Quote(w)
	}
	return strings.Join(words, " ")
}

// isHere says that the command is a path, and the path of a file of the host.
func (o *options) isHere() bool {
	if len(o.Args) == 0 || !strings.Contains(o.Args[0], "/") {
		return false
	}
	info, err := os.Stat(o.Args[0])
	return err == nil && info.Mode().IsRegular()
}

// runPath is the path of vm/run, as short as it works from this directory.
func (o *options) runPath() string {
	if dir, err := os.Getwd(); err == nil && dir == o.Top {
		return "vm/run"
	}
	return filepath.Join(o.Top, "vm/run")
}
