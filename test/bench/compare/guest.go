// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"bulkdump/test/bench/figure"
)

// top is the project's directory, relative to the directory in which this
// program is started (go -C test/bench run ./compare).
const top = "../.."

// guestMemory, in MiB, is enough for a million routes, for a reader that keeps
// them all, and for the default nf_conntrack_max of a kernel with 4 GiB or
// more.
const guestMemory = 6144

// compareInGuest builds this program and runs it in a virtual machine.
func compareInGuest(ctx context.Context, f *flags) (*figure.Comparison, error) {
	dir, err := os.MkdirTemp("", "bulkdump-compare.")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "compare")
	build := command(ctx, ".", "go", "build", "-trimpath", "-buildvcs=false", "-o", program, "./compare")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if err := build.Run(); err != nil {
		return nil, err
	}
	args := []string{"--kernel", f.kernel, "--no-module", "--timeout", "7200", "--mem", fmt.Sprint(guestMemory),
		"--modprobe", "veth", "--modprobe", "nf_conntrack_netlink", "--modprobe", "xfrm_user", "--modprobe", "udp_diag",
		"--add", program + ":/bin/compare"}
	if f.count {
		// The guest's clock counts instructions. Without huge pages, a process has as
		// many to clear each time it starts.
		args = append(args, "--icount", "--append", "transparent_hugepage=never")
	}
	if f.otherPrograms() {
		if err := buildPrograms(ctx, dir); err != nil {
			return nil, err
		}
		args = append(args, "--packages", "iproute2,conntrack,libmnl0")
	}
	for _, p := range builtPrograms {
		if file := filepath.Join(dir, p.name); exists(file) {
			args = append(args, "--add", file+":/bin/"+p.name)
		}
	}
	guest := command(ctx, top, "vm/run", append(args,
		"--", "compare", "-json", "-run", f.only.String(), "-readers", f.readers.String(), "-entries", fmt.Sprint(f.size), "-rounds", fmt.Sprint(f.rounds))...)
	var out bytes.Buffer
	guest.Stdout = &out
	if err := guest.Run(); err != nil {
		return nil, err
	}
	c := new(figure.Comparison)
	if err := json.Unmarshal(out.Bytes(), c); err != nil {
		return nil, fmt.Errorf("the guest printed %q: %w", out.Bytes(), err)
	}
	c.Counted = f.count
	return c, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// command returns a program that is stopped when the context is done.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd
}
