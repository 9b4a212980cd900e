// SPDX-License-Identifier: BSD-3-Clause

package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bulkdump/vm/harness/internal/host"
)

// Parcel is a set of Debian packages with their dependencies, unpacked into a
// directory and not configured.
type Parcel struct {
	Kind   string             // how its entry's name starts
	Recipe string             // changes when Finish changes
	What   string             // it is, in words for the user
	Costs  string             // in time and space, to fetch it once
	Suites []string           // the last one is preferred
	Arch   string             // of the packages, if not this machine's
	Beside bool               // packages of this machine come, too; those of Arch are NAME:ARCH
	Names  []string           // of packages
	Out    []string           // patterns of files to leave out
	Finish func(string) error // makes the directory usable; may be nil
}

// parcelRecipe changes when the way packages are unpacked changes.
const parcelRecipe = "1"

// A download may fail for a moment.
const downloadTries = 3

// fetchLimit is for all tries together.
const fetchLimit = 15 * time.Minute

// Fetch returns the directory of a parcel, and fetches it first if need be. It
// needs no root rights.
func (c *Cache) Fetch(ctx context.Context, p Parcel) (string, error) {
	include := strings.Join(p.Names, ",")
	name := p.Kind + "-" + Digest(parcelRecipe, p.Recipe, strings.Join(p.Suites, ","), include, strings.Join(p.Out, ","))
	return c.Entry(ctx, name, func(dir string) error {
		c.Note("fetching %s from %s: once, about %s", p.What, p.Suites[len(p.Suites)-1], p.Costs)
		err := c.retry(ctx, dir, func(ctx context.Context) error { return unpackPackages(ctx, &p, dir) })
		if err == nil && p.Finish != nil {
			err = p.Finish(dir)
		}
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("fetch %s: %w", p.What, err)
		}
		return err
	})
}

// final is an error that another try would not change.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// retry calls fill until it succeeds, with an empty dir each time, up to
// downloadTries times.
func (c *Cache) retry(ctx context.Context, dir string, fill func(context.Context) error) error {
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
		c.Note("it failed, trying again: %s", host.FirstLine(err))
		os.RemoveAll(dir)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
}

// Documentation is what every parcel leaves out.
var Documentation = []string{"./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*"}

// NotForBuild is what sparse and QEMU depend on, but do not need here.
var NotForBuild = append([]string{"*/libLLVM*", "*/libicu*"}, Documentation...)

// unpackPackages unpacks the packages and their dependencies into dir.
func unpackPackages(ctx context.Context, p *Parcel, dir string) error {
	mode := "root"
	if os.Getuid() != 0 {
		mode = "unshare"
	}
	args, err := suiteArgs(p.Suites, hostMirror(ctx, p.Suites[0]))
	if err != nil {
		return err
	}
	args = append([]string{"--mode=" + mode, "--variant=extract", "--format=tar", "--include=" + strings.Join(p.Names, ",")}, args...)
	switch {
	case p.Beside:
		args = append([]string{"--architectures=amd64," + p.Arch}, args...)
	case p.Arch != "":
		args = append([]string{"--architectures=" + p.Arch}, args...)
	}
	// mmdebstrap may leave files here if it is ended at a bad moment.
	tmp, err := os.MkdirTemp("", "bulkdump-fetch.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { // other users pass through it
		return err
	}
	unpack := []string{"tar", "-x", "-C", dir, "--no-same-owner", "--exclude=./dev/*"}
	for _, pattern := range p.Out {
		unpack = append(unpack, "--exclude="+pattern)
	}
	errFetch, errUnpack := host.RunPiped(ctx, append([]string{"mmdebstrap"}, args...), unpack, "TMPDIR="+tmp)
	switch {
	case isFull(errUnpack):
		return final{errUnpack}
	case isFull(errFetch):
		return final{fullDisk{filepath.Dir(tmp), errFetch}}
	case errors.Is(errFetch, host.ErrNotInstalled), errFetch != nil && strings.Contains(errFetch.Error(), "E: Unable to locate package"):
		return final{errFetch}
	case errUnpack != nil && (errFetch == nil || errors.Is(errFetch, host.ErrNoReader)):
		return final{errUnpack}
	}
	// If the fetch failed, tar failed because it got no archive.
	return errFetch
}

// suiteArgs tells mmdebstrap where the packages come from. It finds a mirror by
// itself for one suite; for several it needs complete lines of sources.list.
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

// hostMirror is the mirror that this machine uses. It has the other suites of the
// distribution, too. If it is empty, mmdebstrap chooses.
func hostMirror(ctx context.Context, suite string) string {
	text, err := host.Output(host.Command(ctx, "apt-get", "indextargets", "--format", "$(CODENAME) $(ORIGIN) $(REPO_URI)", "Created-By: Packages"))
	if err != nil {
		return ""
	}
	return chooseMirror(text, suite)
}

// chooseMirror returns the repository of that suite. If there is none, it returns
// any Debian repository of a release, not one of updates or security.
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
