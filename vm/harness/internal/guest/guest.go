// SPDX-License-Identifier: BSD-3-Clause

// Package guest makes what boots: the guest's files, and what its init is told.
package guest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

// Guest is everything that boots.
type Guest struct {
	Kernel   *kernels.Kernel
	Modules  []string // files of the modules that were built
	programs *Programs
	Config   *proto.Config // what init is told
}

// Ports says which of the guest's ports, besides the console, are serial and which are
// virtio's. On a PC the control port is serial, which always works. Other machines
// have one serial port. Output uses virtio if the kernel has it, which is many times
// faster.
func Ports(a *arch.Arch, k *kernels.Kernel) (serial, virtio []string) {
	all := []string{"control", "stdout", "stderr"}
	switch {
	case !a.IsPC():
		return nil, all
	case k.Virtio:
		return all[:1], all[1:]
	}
	return all, nil
}

// New decides what init is told. limit is how long the command may run.
func New(opts *Options, limit time.Duration, k *kernels.Kernel, modules []string, p *Programs) (*Guest, error) {
	cfg := &proto.Config{Token: rand.Text(), Env: opts.Env, Shell: opts.Shell, Wait: opts.GDB, Dir: "/root"}
	serial, virtio := Ports(k.Arch, k)
	ports := map[string]string{}
	for i, name := range serial {
		ports[name] = fmt.Sprintf("/dev/ttyS%d", i+1)
	}
	for _, name := range virtio {
		ports[name] = "virtio:" + name
	}
	cfg.Control, cfg.Stdout, cfg.Stderr = ports["control"], ports["stdout"], ports["stderr"]
	for _, m := range k.Drivers {
		cfg.Drivers = append(cfg.Drivers, "/lib/modules/"+m.Name+".ko")
	}
	for _, m := range k.Own {
		cfg.Own = append(cfg.Own, "/lib/modules/"+m.Name+".ko")
	}
	loaded := ""
	if !opts.NoModule {
		m, err := kernels.PickModule(modules, opts.Module)
		if err != nil {
			return nil, err
		}
		loaded = strings.TrimSuffix(filepath.Base(m), ".ko")
		cfg.Modules = []proto.Module{{Path: "/lib/modules/" + filepath.Base(m), Params: strings.Join(opts.Params[loaded], " ")}}
	}
	for name := range opts.Params {
		if name != loaded {
			return nil, fmt.Errorf("--param %s.…: the module that is loaded is %q", name, loaded)
		}
	}
	switch {
	case opts.Test:
		cfg.Dir = "/test"
		cfg.Command = testCommand(opts, limit)
	case opts.Shell && len(opts.Args) == 0:
		cfg.Command = []string{"sh", "-l"}
	default:
		cfg.Command = guestArgv(opts.Args)
	}
	if opts.Shell {
		cfg.Size, _ = host.TerminalSize()
		cfg.Env = append([]string{"TERM=" + cmp.Or(os.Getenv("TERM"), "linux")}, cfg.Env...)
	}
	return &Guest{k, modules, p, cfg}, nil
}

// testCommand is the test binary's command line. Its own limit is a little
// shorter than limit, so that a test that hangs shows its goroutines.
func testCommand(opts *Options, limit time.Duration) []string {
	args := []string{"bulkdump.test", "-test.v=test2json"}
	if opts.TestRegex != "" {
		args = append(args, "-test.run="+opts.TestRegex)
	}
	if limit > 20*time.Second {
		limit -= 10 * time.Second
	}
	return append(append(args, "-test.timeout="+limit.String()), opts.Args...)
}

// Options are what the command line asks of the guest.
type Options struct {
	Arch      *arch.Arch
	Top       string // the project's directory
	Adds      []Addition
	Packages  []string // Debian's
	NoModule  bool
	Module    string              // the one to load, if there are several
	Params    map[string][]string // by module
	Env       []string
	Shell     bool
	Test      bool
	TestDir   string
	TestRegex string
	GDB       bool     // wait for gdb before the command
	Args      []string // the command, or the test binary's
}

// OwnTests is the directory of the project's tests.
func (o *Options) OwnTests() string { return filepath.Join(o.Top, "test") }

// shellOperators are the words that make a command a line for the shell.
var shellOperators = []string{"&&", "||", ";", "|", "&", ">", ">>", "<", "2>", "2>>", "2>&1", ">&2", "|&", "(", ")", "{", "}", "!"}

// guestArgv turns the words after the flags into what the guest executes: exactly
// these words, or, if one is a bare operator, a line for sh in which the other
// words are quoted. A single word with a space is a line for sh as it is, as for
// ssh.
func guestArgv(args []string) []string {
	if len(args) == 1 && strings.ContainsAny(args[0], " \t\n") {
		return []string{"sh", "-c", args[0]}
	}
	if !slices.ContainsFunc(args, isOperator) {
		return args
	}
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a
		if !isOperator(a) {
			words[i] = host.Quote(a)
		}
	}
	return []string{"sh", "-c", strings.Join(words, " ")}
}

func isOperator(word string) bool { return slices.Contains(shellOperators, word) }
