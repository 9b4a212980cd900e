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
)

const usage = `Usage: vm/run [FLAGS] [--] COMMAND [ARG…]
       vm/run [FLAGS] --test [REGEX] [-- TESTFLAG…]
       vm/run [FLAGS] --shell

Boots a real kernel in QEMU, loads bulkdump.ko, runs COMMAND in the guest with
the project's programs and busybox on PATH, relays its output, and exits with
its status, but only if everything else was clean too.

What runs:
  COMMAND [ARG…]        exactly these arguments; with a bare shell operator
                        among them ('&&' '|' '>' …), or as one argument with
                        spaces, a line for the guest's sh
  --test [REGEX]        the Go test suite of ./test; REGEX as in go test -run
  --shell               a shell on your terminal; leave with exit or ^D
On what:
  --kernel NAME         6.1 (default)
  --accel auto|kvm|tcg  auto (default) uses KVM where a guest really runs on it
  --cpus N              processors, default 2
  --mem MIB             memory, default 2048
  --icount              guest time counts instructions: for repeatable figures
                        (TCG, one processor)
With what:
  --no-module           do not build and load the project's module
  --module-dir DIR      build and load the modules of DIR instead of kmod/
  --param MODULE.K=V    a parameter for a module that is loaded (repeatable)
  --add FILE[:PATH]     put FILE (or a directory) into the guest, by default
                        into the command's directory, /root (repeatable)
  --env K=V             set in the command's environment (repeatable)
How:
  --timeout S           seconds for COMMAND; default 900 with TCG, 300 with KVM
  --out DIR             write console.log, kernel.log, stdout, stderr and
                        verdict.txt there; with --test also test.json, junit.xml
  -h, --help            this text

Exit status: the command's own (128+N when signal N killed it), or
  121  the harness could not do its work, or was called wrongly
  122  the command ran, but the kernel's log, its taint or the unload is not clean
  123  the command, or what follows it, took longer than its limit
  124  the guest did not boot, panicked, or went away without its last word
The last line on stderr is the verdict, and says which it is.

Examples:
  vm/run -- bulkdump fill 1000000 '&&' bulkdump dump -o count
  vm/run --test TestDump -- -test.count=3
  vm/run --no-module --add my.ko -- sh -c 'insmod my.ko && my-test'
  vm/run --icount -- bulkdump bench
`

var errHelp = errors.New("help")

// options is what the command line says.
type options struct {
	top       string // the project's directory
	kernel    string
	accel     string
	cpus, mem int
	icount    bool
	timeout   time.Duration // 0: by the accelerator
	adds      []addition
	outDir    string
	noModule  bool
	moduleDir string
	params    map[string][]string // by module
	env       []string
	shell     bool
	test      bool
	testRegex string
	args      []string
}

// addition is a file of the host's that goes into the guest.
type addition struct {
	host, guest string // guest is empty for the default place
}

// parseArgs reads the command line. Flags end at the first word that is none.
func parseArgs(args []string) (*options, error) {
	o := &options{kernel: "6.1", accel: "auto", cpus: 2, mem: 2048, params: map[string][]string{}}
	cpusGiven := false
	next := func() (string, bool) {
		if len(args) == 0 {
			return "", false
		}
		a := args[0]
		args = args[1:]
		return a, true
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		flag, _ := next()
		if flag == "--" {
			break
		}
		if flag == "-h" || flag == "--help" {
			return nil, errHelp
		}
		name, value, inline := strings.Cut(flag, "=")
		if slices.Contains([]string{"--icount", "--no-module", "--shell", "--test"}, name) {
			if inline && name != "--test" {
				return nil, fmt.Errorf("%s takes no value", name)
			}
		} else if !inline && slices.Contains(valueFlags, name) {
			var ok bool
			if value, ok = next(); !ok {
				return nil, fmt.Errorf("%s needs a value", name)
			}
		}
		var err error
		switch name {
		case "--top":
			o.top = value
		case "--kernel":
			o.kernel = value
			_, err = findKernel(value)
		case "--accel":
			o.accel = value
			if !slices.Contains([]string{"auto", "kvm", "tcg"}, value) {
				err = errors.New("it is auto, kvm or tcg")
			}
		case "--cpus":
			o.cpus, err = number(value, 1, 64)
			cpusGiven = true
		case "--mem":
			o.mem, err = number(value, 128, 1<<20)
		case "--timeout":
			var s int
			s, err = number(value, 1, 7*24*3600)
			o.timeout = time.Duration(s) * time.Second
		case "--icount":
			o.icount = true
		case "--no-module":
			o.noModule = true
		case "--module-dir":
			o.moduleDir, err = filepath.Abs(value)
		case "--shell":
			o.shell = true
		case "--param":
			err = o.addParam(value)
		case "--add":
			err = o.add(value)
		case "--out":
			o.outDir, err = filepath.Abs(value)
		case "--env":
			if k, _, ok := strings.Cut(value, "="); !ok || k == "" {
				err = errors.New("it is NAME=VALUE")
			}
			o.env = append(o.env, value)
		case "--test":
			o.test = true
			if !inline && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				value, _ = next()
			}
			o.testRegex = value
			_, err = regexp.Compile(value)
		default:
			return nil, fmt.Errorf("unknown flag %s", flag)
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", name, value, err)
		}
	}
	o.args = args
	return o, o.check(cpusGiven)
}

var valueFlags = []string{"--top", "--kernel", "--accel", "--cpus", "--mem", "--timeout", "--module-dir", "--param", "--add", "--out", "--env"}

// check finds what contradicts itself, and fills in what follows.
func (o *options) check(cpusGiven bool) error {
	switch {
	case o.test && o.shell:
		return errors.New("--test and --shell exclude each other")
	case len(o.args) == 0 && !o.test && !o.shell:
		return errors.New("no command given")
	case o.icount && o.accel == "kvm":
		return errors.New("--icount counts instructions, which only TCG does")
	case o.icount && cpusGiven && o.cpus != 1:
		return errors.New("--icount has one processor")
	}
	if o.icount {
		o.accel, o.cpus = "tcg", 1
	}
	if o.top == "" {
		o.top = "."
	}
	if o.moduleDir == "" {
		o.moduleDir = filepath.Join(o.top, "kmod")
	}
	return nil
}

func (o *options) addParam(v string) error {
	module, param, ok := strings.Cut(v, ".")
	if !ok || module == "" || !strings.Contains(param, "=") {
		return errors.New("it is MODULE.NAME=VALUE")
	}
	o.params[module] = append(o.params[module], param)
	return nil
}

// add takes FILE or FILE:GUESTPATH. A file whose name has a colon in it is
// found as it is.
func (o *options) add(v string) error {
	host, guest := v, ""
	if _, err := os.Stat(v); err != nil {
		if i := strings.LastIndex(v, ":"); i > 0 {
			host, guest = v[:i], v[i+1:]
			if !filepath.IsAbs(guest) {
				return errors.New("the path in the guest must be absolute")
			}
		}
		if _, err := os.Stat(host); err != nil {
			return err
		}
	}
	o.adds = append(o.adds, addition{host, guest})
	return nil
}

func number(s string, low, high int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("it is a number from %d to %d", low, high)
	}
	return n, nil
}
