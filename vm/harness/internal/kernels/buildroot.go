// SPDX-License-Identifier: BSD-3-Clause

package kernels

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"bulkdump/vm/harness/internal/cache"
)

// rootPackages is what building and checking a module takes, beside the
// kernel's headers. The root is unpacked and never configured, so nothing is
// pulled in by itself.
var rootPackages = []string{
	"make", "gcc", "libelf1", "dash", "bash", "coreutils", "sed", "grep", "mawk", "findutils", "perl", "libc-bin", "sparse",
}

// rootRecipe changes when the way a root is made changes.
const rootRecipe = "1"

// buildRoot returns the directory that holds the kernel, its headers and the
// compiler of its own suite. All files in it belong to the caller: so making
// it, using it and removing it take no rights but a user name space.
func buildRoot(ctx context.Context, c *cache.Cache, k debianKernel) (string, error) {
	return c.Fetch(ctx, cache.Parcel{
		Kind:   "root-" + k.name,
		Recipe: rootRecipe,
		What:   "the build root of kernel " + k.name,
		Costs:  "half a minute and 700 MB",
		Suites: k.suites,
		Names:  append([]string{k.image, k.headers}, rootPackages...),
		Out:    cache.NotForBuild,
		Finish: finishRoot,
	})
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
