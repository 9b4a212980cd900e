// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A probe calls mutants_hit(), which is true, and notes its number.
const probeHeader = `
#include <linux/bitops.h>
extern unsigned long mutants_hits[];
static __always_inline bool mutants_hit(unsigned int nr)
{
	if (!test_bit(nr, mutants_hits))
		set_bit(nr, mutants_hits);
	return true;
}
`

// The notes are in a module of their own, which stays when a test loads another
// anew. Its parameter lists the numbers, and forgets them.
const probeModule = `
#include <linux/bitmap.h>
#include <linux/module.h>
unsigned long mutants_hits[BITS_TO_LONGS(%[1]d)];
EXPORT_SYMBOL_GPL(mutants_hits);
static int mutants_get(char *buf, const struct kernel_param *kp)
{
	int len = scnprintf(buf, PAGE_SIZE, "%%*pbl\n", %[1]d, mutants_hits);

	bitmap_zero(mutants_hits, %[1]d);
	return len;
}
static const struct kernel_param_ops mutants_ops = { .get = mutants_get };
module_param_cb(hits, &mutants_ops, NULL, 0400);
MODULE_DESCRIPTION("which probes were reached");
MODULE_LICENSE("GPL");
`

// profileScript runs each test in a process of its own. A test that takes longer
// is not near to anything.
const profileScript = `#!/bin/sh
cp ./*.ko /lib/modules
insmod /lib/modules/mutants_hits.ko
p=/sys/module/mutants_hits/parameters/hits
for t; do
	test -e /sys/module/bulkdump || insmod /lib/modules/bulkdump.ko
	cat $p >/dev/null
	read -r begin _ </proc/uptime
	timeout 100 ./mutants-tests -test.run "^$t\$" >/dev/null 2>&1
	code=$?
	read -r end _ </proc/uptime
	echo "mutants: $t $begin $end $code $(cat $p)"
done
`

// profile runs the tests on a module with probes, and writes what they reach.
func (r *runner) profile(ctx context.Context, path string) error {
	dir, err := os.MkdirTemp(r.work, "profile.")
	if err != nil {
		return err
	}
	kmod := filepath.Join(dir, "kmod")
	all, err := r.instrument(kmod)
	if err != nil {
		return err
	}
	script := filepath.Join(dir, "profile.sh")
	if err := os.WriteFile(script, []byte(profileScript), 0o755); err != nil {
		return err
	}
	files, err := r.buildModules(ctx, kmod, filepath.Join(dir, "cache"))
	if err != nil {
		return err
	}
	args := []string{"--no-module", "--modprobe", "netlink_diag", "--timeout", "3600", "--add", r.binary, "--add", script}
	for _, file := range files {
		args = append(args, "--add", file)
	}
	args = append(args, "--", "sh", "profile.sh")
	args = append(args, r.names...)
	said, err := r.vm(ctx, true, args...)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || !strings.Contains(said, "\nmutants: ")) {
		return fmt.Errorf("%w\n%s", err, said)
	}
	c := &coverage{reached: map[string][]int{}}
	for line := range strings.Lines(said) {
		if err := c.take(line, all); err != nil {
			return err
		}
	}
	fmt.Fprintf(r.stdout, "%d tests reach %d of %d functions and branches\n", len(c.tests), len(c.reached), len(all))
	return c.write(path)
}

// take takes a line of the script.
func (c *coverage) take(line string, all []probe) error {
	words := strings.Fields(line)
	if len(words) < 5 || words[0] != "mutants:" {
		return nil
	}
	begin, err1 := strconv.ParseFloat(words[2], 64)
	end, err2 := strconv.ParseFloat(words[3], 64)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if words[4] != "0" || len(words) < 6 {
		return nil // too long, or it looks at the module's parameters
	}
	c.tests = append(c.tests, coveredTest{words[1], end - begin})
	for part := range strings.SplitSeq(words[5], ",") {
		from, to, ok := strings.Cut(part, "-")
		if !ok {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err := errors.Join(err1, err2); err != nil || last >= len(all) {
			return fmt.Errorf("what is this: %q", line)
		}
		for i := first; i <= last; i++ {
			name := all[i].name
			c.reached[name] = append(c.reached[name], len(c.tests)-1)
		}
	}
	return nil
}

// instrument makes a copy of kmod/ whose modules have probes.
func (r *runner) instrument(to string) ([]probe, error) {
	if err := copyModules(filepath.Join(r.top, "kmod"), to); err != nil {
		return nil, err
	}
	var all []probe
	for _, pattern := range []string{"*.c", "compare/*.c", "minimal/*.c", "minimal/nested/*.c"} {
		paths, err := filepath.Glob(filepath.Join(to, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			src, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			file, err := filepath.Rel(to, path)
			if err != nil {
				return nil, err
			}
			made := probes(filepath.Join("kmod", file), string(src), len(all))
			all = append(all, made...)
			var edits []edit
			for _, p := range made {
				edits = append(edits, p.edits...)
			}
			slices.SortStableFunc(edits, func(a, b edit) int { return a.start - b.start })
			m := mutant{src: string(src), edits: edits}
			if err := os.WriteFile(path, []byte(probeHeader+m.text()), 0o644); err != nil {
				return nil, err
			}
		}
	}
	return all, errors.Join(os.WriteFile(filepath.Join(to, "mutants_hits.c"), fmt.Appendf(nil, probeModule, len(all)), 0o644),
		appendTo(filepath.Join(to, "Kbuild"), "obj-m += mutants_hits.o\n"))
}

func appendTo(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(old, text...), 0o644)
}
