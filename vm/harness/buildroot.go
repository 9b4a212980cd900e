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
	name := "root-" + k.name + "-" + digest(rootRecipe, k.suite, include)
	return c.entry(ctx, name, func(dir string) error {
		c.note("making the build root of kernel %s from %s: once, about half a minute and 700 MB", k.name, k.suite)
		var err error
		for try := range downloadTries {
			if err = c.unpackRoot(ctx, k.suite, include, dir); err == nil || ctx.Err() != nil {
				return err
			}
			if try < downloadTries-1 {
				c.note("it failed, trying again: %s", firstLine(err))
			}
			os.RemoveAll(dir)
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
		}
		return fmt.Errorf("make the build root of kernel %s: %w", k.name, err)
	})
}

func (c *cache) unpackRoot(ctx context.Context, suite, include, dir string) error {
	mode := "root"
	if os.Getuid() != 0 {
		mode = "unshare"
	}
	args := []string{"--mode=" + mode, "--variant=extract", "--format=tar", "--include=" + include, suite, "-"}
	if mirror := hostMirror(ctx, suite); mirror != "" {
		args = append(args, mirror)
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	fetch := tool(ctx, "mmdebstrap", args...)
	unpack := tool(ctx, "tar", "-x", "-C", dir, "--no-same-owner", "--exclude=./dev/*",
		"--exclude=./usr/share/doc/*", "--exclude=./usr/share/man/*", "--exclude=./usr/share/locale/*",
		"--exclude=*/libLLVM*", "--exclude=*/libicu*") // what comes with sparse, and it does not need
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
	// A full disk stops tar first, and mmdebstrap for want of a reader.
	if err := toolError(unpack, errUnpack, unpackLog.String()); err != nil {
		return err
	}
	if err := toolError(fetch, err, fetchLog.String()); err != nil {
		return err
	}
	return finishRoot(dir)
}

// finishRoot makes what configuring the packages would have made.
func finishRoot(dir string) error {
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
	_, err := openKernel(dir)
	return err
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
