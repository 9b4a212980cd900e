// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bulkdump/vm/internal/proto"
)

// guest is what boots.
type guest struct {
	kernel   *kernel
	modules  []string // files of those that were built
	programs *programs
	config   *proto.Config // what init is told
}

// newGuest decides what init is told. limit is the command's.
func newGuest(opts *guestOptions, limit time.Duration, k *kernel, modules []string, p *programs) (*guest, error) {
	cfg := &proto.Config{Token: rand.Text(), Env: opts.env, Shell: opts.shell, Wait: opts.gdb, Dir: "/root"}
	cfg.Control, cfg.Stdout, cfg.Stderr = devices(k.hasVirtio())
	for _, d := range k.drivers {
		cfg.Drivers = append(cfg.Drivers, "/lib/modules/"+filepath.Base(d))
	}
	for _, m := range k.asked {
		cfg.Drivers = append(cfg.Drivers, "/lib/modules/"+m.name+".ko")
	}
	loaded := ""
	if !opts.noModule {
		m, err := pickModule(modules, opts.module)
		if err != nil {
			return nil, err
		}
		loaded = strings.TrimSuffix(filepath.Base(m), ".ko")
		cfg.Modules = []proto.Module{{Path: "/lib/modules/" + filepath.Base(m), Params: strings.Join(opts.params[loaded], " ")}}
	}
	for name := range opts.params {
		if name != loaded {
			return nil, fmt.Errorf("--param %s.…: the module that is loaded is %q", name, loaded)
		}
	}
	switch {
	case opts.test:
		cfg.Dir = "/test"
		cfg.Command = testCommand(opts, limit)
	case opts.shell && len(opts.args) == 0:
		cfg.Command = []string{"sh", "-l"}
	default:
		cfg.Command = guestArgv(opts.args)
	}
	if opts.shell {
		cfg.Size, _ = terminalSize()
		cfg.Env = append([]string{"TERM=" + cmp.Or(os.Getenv("TERM"), "linux")}, cfg.Env...)
	}
	return &guest{k, modules, p, cfg}, nil
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
func testCommand(opts *guestOptions, limit time.Duration) []string {
	args := []string{"bulkdump.test", "-test.v=test2json"}
	if opts.testRegex != "" {
		args = append(args, "-test.run="+opts.testRegex)
	}
	if limit > 20*time.Second {
		limit -= 10 * time.Second
	}
	return append(append(args, "-test.timeout="+limit.String()), opts.args...)
}

// guestOptions are what the command line asks of the guest.
type guestOptions struct {
	top       string // the project's directory
	adds      []addition
	packages  []string // Debian's
	noModule  bool
	module    string              // the one to load, where there are several
	params    map[string][]string // by module
	env       []string
	shell     bool
	test      bool
	testDir   string
	testRegex string
	gdb       bool     // wait for it before the command
	args      []string // the command, or the test binary's
}

// ownTests are the project's.
func (o *guestOptions) ownTests() string { return filepath.Join(o.top, "test") }
