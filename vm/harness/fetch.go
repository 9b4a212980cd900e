// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A parcel is packages of Debian's with all that they need, unpacked into a
// directory, not configured.
type parcel struct {
	kind   string             // what its entry's name starts with
	recipe string             // changes when what finish does changes
	what   string             // it is, for people
	costs  string             // to fetch it, once
	suites []string           // the packages come from the last of them
	names  []string           // of packages
	out    []string           // patterns of files that are left out
	finish func(string) error // makes the directory usable; may be nil
}

// parcelRecipe changes when the way packages are unpacked changes.
const parcelRecipe = "1"

// A download may fail for a moment.
const downloadTries = 3

// fetchLimit is for all tries together.
const fetchLimit = 15 * time.Minute

// fetch returns the directory of a parcel, which takes no rights to fetch.
func (c *cache) fetch(ctx context.Context, p parcel) (string, error) {
	include := strings.Join(p.names, ",")
	name := p.kind + "-" + digest(parcelRecipe, p.recipe, strings.Join(p.suites, ","), include, strings.Join(p.out, ","))
	return c.entry(ctx, name, func(dir string) error {
		c.note("fetching %s from %s: once, about %s", p.what, p.suites[len(p.suites)-1], p.costs)
		err := c.retry(ctx, dir, func(ctx context.Context) error { return unpackPackages(ctx, p.suites, include, dir, p.out) })
		if err == nil && p.finish != nil {
			err = p.finish(dir)
		}
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("fetch %s: %w", p.what, err)
		}
		return err
	})
}

// final is an error that another try would meet again.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// retry tries to fill dir, some times from the start.
func (c *cache) retry(ctx context.Context, dir string, fill func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	for try := 1; ; try++ {
		err := fill(ctx)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("it took longer than %v; at last: %w", fetchLimit, err)
		}
		if _, ok := errors.AsType[final](err); ok || err == nil || ctx.Err() != nil || try == downloadTries {
			return err
		}
		c.note("it failed, trying again: %s", firstLine(err))
		os.RemoveAll(dir)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
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
	// What it leaves there when it is ended in a bad moment goes with this.
	tmp, err := os.MkdirTemp("", "bulkdump-fetch.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // its other users go through it
		return err
	}
	unpack := []string{"tar", "-x", "-C", dir, "--no-same-owner", "--exclude=./dev/*"}
	for _, pattern := range leftOut {
		unpack = append(unpack, "--exclude="+pattern)
	}
	errFetch, errUnpack := runPiped(ctx, append([]string{"mmdebstrap"}, args...), unpack, "TMPDIR="+tmp)
	switch {
	case isFull(errUnpack):
		return final{errUnpack}
	case isFull(errFetch):
		return final{fullDisk{filepath.Dir(tmp), errFetch}}
	case errors.Is(errFetch, errNotInstalled), errFetch != nil && strings.Contains(errFetch.Error(), "E: Unable to locate package"):
		return final{errFetch}
	case errUnpack != nil && (errFetch == nil || errors.Is(errFetch, errNoReader)):
		return final{errUnpack}
	}
	// If the fetch failed, tar failed for want of an archive.
	return errFetch
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
