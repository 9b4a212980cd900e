// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bulkdump/vm/internal/proto"
)

// guestConfig is what the guest is told.
func guestConfig(opts *options, accel string, k *kernel, modules []string) (*proto.Config, error) {
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
		cfg.Command = testCommand(opts, accel)
	case opts.shell && len(opts.args) == 0:
		cfg.Command = []string{"sh", "-l"}
	default:
		cfg.Command = guestArgv(opts.args)
	}
	if opts.shell {
		cfg.Size, _ = terminalSize()
		cfg.Env = append([]string{"TERM=" + cmp.Or(os.Getenv("TERM"), "linux")}, cfg.Env...)
	}
	return cfg, nil
}
