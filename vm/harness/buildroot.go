// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// rootPackages is what building and checking a module takes, beside the
// kernel's headers. The root is unpacked and never configured, so nothing is
// pulled in by itself.
var rootPackages = []string{
	"make", "gcc", "libelf1", "dash", "bash", "coreutils", "sed", "grep", "mawk", "findutils", "perl", "libc-bin", "sparse",
}

// rootRecipe changes when the way a root is made changes.
const rootRecipe = "1"

// downloads may fail for a moment.
const downloadTries = 3

// buildRoot returns the directory that holds the kernel, its headers and the
// compiler of its own suite. All files in it belong to the caller: so making
// it, using it and removing it take no rights but a user name space.
func (c *cache) buildRoot(ctx context.Context, k debianKernel) (string, error) {
	include := strings.Join(append([]string{k.image, k.headers}, rootPackages...), ",")
	suite := k.suites[len(k.suites)-1]
	name := "root-" + k.name + "-" + digest(rootRecipe, strings.Join(k.suites, ","), include)
	return c.entry(ctx, name, func(dir string) error {
		c.note("making the build root of kernel %s from %s: once, about half a minute and 700 MB", k.name, suite)
		err := c.retry(ctx, dir, func() error { return c.unpackRoot(ctx, k.suites, include, dir) })
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("make the build root of kernel %s: %w", k.name, err)
		}
		return err
	})
}

// retry tries to fill dir, some times from the start.
func (c *cache) retry(ctx context.Context, dir string, fill func() error) error {
	for try := 1; ; try++ {
		err := fill()
		if err == nil || ctx.Err() != nil || try == downloadTries {
			return err
		}
		c.note("it failed, trying again: %s", firstLine(err))
		os.RemoveAll(dir)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
}

func (c *cache) unpackRoot(ctx context.Context, suites []string, include, dir string) error {
	if err := unpackPackages(ctx, suites, include, dir, notForBuild); err != nil {
		return err
	}
	return finishRoot(dir)
}

// documentation is left out of every root.
var documentation = []string{"./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*"}

// notForBuild is what comes with sparse and QEMU, and neither needs.
var notForBuild = append([]string{"*/libLLVM*", "*/libicu*"}, documentation...)

// unpackPackages unpacks packages and all that they need into dir, but for the
// files that are left out.
func unpackPackages(ctx context.Context, suites []string, include, dir string, leftOut []string) error {
	mode := "root"
	if os.Getuid() != 0 {
		mode = "unshare"
	}
	args, err := suiteArgs(suites, hostMirror(ctx, suites[0]))
	if err != nil {
		return err
	}
	args = append([]string{"--mode=" + mode, "--variant=extract", "--format=tar", "--include=" + include}, args...)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	// What it leaves there when it is ended in a bad moment goes with this.
	tmp, err := os.MkdirTemp("", "bulkdump-fetch.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // its other users go through it
		return err
	}
	fetch := tool(ctx, "mmdebstrap", args...)
	fetch.Env = append(os.Environ(), "TMPDIR="+tmp)
	tar := []string{"-x", "-C", dir, "--no-same-owner", "--exclude=./dev/*"}
	for _, pattern := range leftOut {
		tar = append(tar, "--exclude="+pattern)
	}
	unpack := tool(ctx, "tar", tar...)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	var fetchLog, unpackLog bytes.Buffer
	fetch.Stdout, fetch.Stderr = w, &fetchLog
	unpack.Stdin, unpack.Stderr = r, &unpackLog
	if err := unpack.Start(); err != nil {
		r.Close()
		w.Close()
		return toolError(unpack, err, "")
	}
	err = fetch.Run()
	r.Close()
	w.Close()
	errUnpack := unpack.Wait()
	// A full disk stops tar first, and mmdebstrap for want of a reader; what
	// mmdebstrap does not find stops tar for want of an archive.
	errUnpack = toolError(unpack, errUnpack, unpackLog.String())
	if errors.Is(errUnpack, syscall.ENOSPC) {
		return errUnpack
	}
	return errors.Join(toolError(fetch, err, fetchLog.String()), errUnpack)
}

// suiteArgs tells mmdebstrap where the packages come from. It finds a mirror by
// itself, but for more than one suite it wants whole lines of sources.list.
func suiteArgs(suites []string, mirror string) ([]string, error) {
	args := []string{suites[0], "-"}
	switch {
	case len(suites) > 1 && mirror == "":
		return nil, fmt.Errorf("apt knows no Debian mirror, from which to get %s", strings.Join(suites, " and "))
	case len(suites) > 1:
		for _, s := range suites {
			args = append(args, "deb "+mirror+" "+s+" main")
		}
		return append([]string{`--aptopt=APT::Default-Release "` + suites[len(suites)-1] + `"`}, args...), nil
	case mirror != "":
		args = append(args, mirror)
	}
	return args, nil
}

// finishRoot makes a root usable, and sees that there is a kernel in it.
func finishRoot(dir string) error {
	if err := configureRoot(dir); err != nil {
		return err
	}
	_, err := openKernel(dir)
	return err
}

// configureRoot makes what configuring the packages would have made.
func configureRoot(dir string) error {
	for _, d := range []string{"dev", "proc", "tmp", "build"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for link, to := range map[string]string{"usr/bin/awk": "mawk", "usr/bin/sh": "dash"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// hostMirror is where this machine gets its own packages from. Another suite
// of the same distribution lies there as well. Empty: let mmdebstrap choose.
func hostMirror(ctx context.Context, suite string) string {
	text, err := output(tool(ctx, "apt-get", "indextargets", "--format", "$(CODENAME) $(ORIGIN) $(REPO_URI)", "Created-By: Packages"))
	if err != nil {
		return ""
	}
	return chooseMirror(text, suite)
}

// chooseMirror takes the repository of that very suite, else any one of
// Debian's that has main releases: not updates, not security.
func chooseMirror(targets, suite string) string {
	other := ""
	for line := range strings.Lines(targets) {
		f := strings.Fields(line)
		if len(f) != 3 || f[1] != "Debian" {
			continue
		}
		if f[0] == suite {
			return f[2]
		}
		if other == "" && !strings.Contains(f[0], "-") {
			other = f[2]
		}
	}
	return other
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
