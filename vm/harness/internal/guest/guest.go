// SPDX-License-Identifier: BSD-3-Clause

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

	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

// Guest is what boots.
type Guest struct {
	Kernel   *kernels.Kernel
	Modules  []string // files of those that were built
	programs *Programs
	Config   *proto.Config // what init is told
}

// New decides what init is told. limit is the command's.
func New(opts *Options, limit time.Duration, k *kernels.Kernel, modules []string, p *Programs) (*Guest, error) {
	cfg := &proto.Config{Token: rand.Text(), Env: opts.Env, Shell: opts.Shell, Wait: opts.GDB, Dir: "/root"}
	cfg.Control, cfg.Stdout, cfg.Stderr = devices(k.HasVirtio())
	for _, d := range k.Drivers {
		cfg.Drivers = append(cfg.Drivers, "/lib/modules/"+filepath.Base(d))
	}
	for _, m := range k.Own {
		cfg.Drivers = append(cfg.Drivers, "/lib/modules/"+m.Name+".ko")
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

// devices says how the guest reaches its ports. The serial ports take what
// must always get through; output goes by virtio where the kernel has it,
// which is many times faster.
func devices(virtio bool) (control, stdout, stderr string) {
	if virtio {
		return "/dev/ttyS1", "virtio:stdout", "virtio:stderr"
	}
	return "/dev/ttyS1", "/dev/ttyS2", "/dev/ttyS3"
}

// testCommand is what runs in the guest. Its own limit is a little shorter
// than ours, so that a test that hangs shows its goroutines.
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
	Top       string // the project's directory
	Adds      []Addition
	Packages  []string // Debian's
	NoModule  bool
	Module    string              // the one to load, where there are several
	Params    map[string][]string // by module
	Env       []string
	Shell     bool
	Test      bool
	TestDir   string
	TestRegex string
	GDB       bool     // wait for it before the command
	Args      []string // the command, or the test binary's
}

// OwnTests are the project's.
func (o *Options) OwnTests() string { return filepath.Join(o.Top, "test") }

// shellOperators are the words that make a command a line for the shell.
var shellOperators = []string{"&&", "||", ";", "|", "&", ">", ">>", "<", "2>", "2>>", "2>&1", ">&2", "|&", "(", ")", "{", "}", "!"}

// guestArgv turns the words after the flags into what the guest executes:
// exactly these words, or, if they hold a bare operator, a line of sh in which
// every other word still means itself. One word with a space in it is a line
// as it stands, as ssh takes it.
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
