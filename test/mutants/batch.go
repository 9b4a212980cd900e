// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A batch is mutants that share a build and a guest for the stage near: most of
// the time of a single one goes into the files that it does not change, and into
// the boot. The guest changes the module from one to the next. As soon as one leaves
// a trace in the kernel, or its tests panic, the rest go on in another guest.
type batch struct {
	r       *runner
	dir     string
	mutants []*batched
}

type batched struct {
	m     *mutant
	unit  string // the name of its source and its module, without the end
	tests string // a regular expression
	limit int    // seconds
	res   *result
}

// nearAll runs the stage near. The result has those that the tests killed or that do
// not compile, and survivors. Mutants without tests are not in it.
func (r *runner) nearAll(ctx context.Context, mutants []*mutant, tests map[string]string) (map[string]result, error) {
	start := time.Now()
	dir, err := os.MkdirTemp(r.work, "batch.")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b := &batch{r: r, dir: dir}
	for _, m := range mutants {
		one := &batched{m: m, unit: fmt.Sprintf("mutant%d", len(b.mutants)), tests: tests[m.id]}
		takes := r.near
		if one.tests == "" {
			one.tests, takes = r.cover.near(m, r.near)
		}
		one.limit = 30 + int(3*takes)
		if one.tests != "" {
			b.mutants = append(b.mutants, one)
		}
	}
	if len(b.mutants) > 0 {
		err = b.run(ctx)
	}
	results := map[string]result{}
	for _, one := range b.mutants {
		if one.res != nil {
			one.res.Lines = one.m.lines
			one.res.Seconds = time.Since(start).Seconds() / float64(len(b.mutants))
			results[one.m.id] = *one.res
		}
	}
	return results, err
}

func (b *batch) run(ctx context.Context) error {
	files, err := b.build(ctx)
	if err != nil {
		return err
	}
	for _, one := range b.left() {
		name, _ := module(one.m.file)
		is, err := sameCode(files[name], files[one.unit])
		if err != nil {
			return err
		}
		if is {
			one.res = &result{State: same, Stage: "near"}
		}
	}
	if err := b.fill(files); err != nil {
		return err
	}
	for {
		left := b.left()
		if len(left) == 0 {
			return nil
		}
		if err := b.boot(ctx, left); err != nil {
			return err
		}
		if len(b.left()) == len(left) {
			return errors.New("a guest ran no mutant")
		}
	}
}

func (b *batch) left() []*batched {
	return slices.DeleteFunc(slices.Clone(b.mutants), func(one *batched) bool { return one.res != nil })
}

// module is the name of the module that a mutant is of, and its folder in kmod/.
func module(file string) (name, folder string) {
	if !strings.HasPrefix(file, "kmod/minimal/") {
		return "bulkdump", "."
	}
	return strings.TrimSuffix(filepath.Base(file), ".c"), strings.TrimPrefix(filepath.Dir(file), "kmod/")
}

// build builds the modules of the mutants with one make, and returns their files by
// name. Mutants that do not compile get their result.
func (b *batch) build(ctx context.Context) (map[string]string, error) {
	for try := 0; ; try++ {
		kmod := filepath.Join(b.dir, fmt.Sprintf("kmod%d", try))
		if err := b.sources(kmod); err != nil {
			return nil, err
		}
		files, err := b.r.buildModules(ctx, kmod, filepath.Join(b.dir, fmt.Sprintf("cache%d", try)))
		if err == nil || ctx.Err() != nil || !b.drop(err.Error()) {
			return files, err
		}
	}
}

// buildModules builds the modules of a folder for 6.1, in a new cache, and returns
// their files by name. The error has what the compiler said.
func (r *runner) buildModules(ctx context.Context, kmod, cache string) (map[string]string, error) {
	if err := linkCache(r.cacheFrom, cache); err != nil {
		return nil, err
	}
	if said, err := r.vmIn(ctx, cache, false, "--module-dir", kmod, "--prepare", "6.1"); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, said)
	}
	paths, err := filepath.Glob(filepath.Join(cache, "bulkdump/modules-*/guest/*.ko"))
	files := map[string]string{}
	for _, path := range paths {
		files[strings.TrimSuffix(filepath.Base(path), ".ko")] = path
	}
	return files, err
}

// drop drops the mutants that the compiler complains about, and reports whether
// there are any.
func (b *batch) drop(said string) bool {
	found := false
	for _, one := range b.left() {
		line := regexp.MustCompile(`(?m)\b` + one.unit + `(_\w+)?\.c:.*\berror: (.*)$|"\w+" \[.*\b` + one.unit + `\.ko\] (undefined!)`).FindStringSubmatch(said)
		if line != nil {
			one.res = &result{State: dropped, By: line[2] + line[3]}
			found = true
		}
	}
	return found
}

// sources makes a folder with the sources of the modules and, for each mutant, the
// changed file and a module that has it instead of the other.
func (b *batch) sources(kmod string) error {
	if err := copyModules(filepath.Join(b.r.top, "kmod"), kmod); err != nil {
		return err
	}
	for _, one := range b.left() {
		_, folder := module(one.m.file)
		rules := fmt.Sprintf("obj-m += %s.o\n", one.unit)
		to := filepath.Join(kmod, folder, one.unit+".c")
		if folder == "." {
			old := strings.TrimSuffix(strings.TrimPrefix(one.m.file, "kmod/"), ".c")
			changed := filepath.Join(filepath.Dir(old), one.unit+"_"+filepath.Base(old))
			rules += fmt.Sprintf("%s-y := $(patsubst %s.o,%s.o,$(bulkdump-y))\n", one.unit, old, changed)
			to = filepath.Join(kmod, changed+".c")
		}
		if err := os.WriteFile(to, []byte(one.m.text()), 0o644); err != nil {
			return err
		}
		if err := appendTo(filepath.Join(kmod, folder, "Kbuild"), rules); err != nil {
			return err
		}
	}
	return appendTo(filepath.Join(kmod, "Kbuild"), "ccflags-y += -g0\n")
}

// batchScript runs the tests of each mutant of the list. 12288 are the taints of a
// module that is out of tree and not signed.
const batchScript = `unload() { # a dump of a socket that was closed just now may hold it
	for i in 1 2 3 4 5 6 7 8 9 10; do
		test -e /sys/module/$1 || return 0
		rmmod $1 && return 0
		sleep 1
	done
	return 1
}
watch() { # UNIT SECONDS: ends this script if the tests cannot be killed
	for i in $(seq $2); do
		sleep 1
	done
	echo "mutants: end $1 137 tests"
	kill -KILL $$
}
while read -r unit limit tests; do
	echo "mutants: begin $unit"
	cp original/*.ko /lib/modules
	cp $unit/*.ko /lib/modules
	code=loading by= dirty=0
	if insmod /lib/modules/bulkdump.ko; then
		watch $unit $((limit + 20)) &
		timeout -s KILL $((limit + 10)) ./mutants-tests -test.failfast -test.timeout ${limit}s -test.run "$tests" >log 2>&1 </dev/null
		code=$?
		kill $!
		by=$(sed -n 's/^ *--- FAIL: \([^ ]*\).*/\1/p; s/^\(panic: .*\)/\1/p; s/^\(fatal error: .*\)/\1/p; s/^\t\t\(Test[^ ]* ([0-9.ms]*)\)$/\1/p' log | tr '\n' ' ')
		test $code -le 1 || dirty=tests # they panicked, so what they changed in the guest is as it was then
		for module in bulkdump bulkdump_minimal bulkdump_nested; do
			unload $module || dirty=unload
		done
	fi
	taint=$(($(cat /proc/sys/kernel/tainted) & ~12288))
	test $taint = 0 || dirty=log
	echo "mutants: end $unit $code $dirty $by"
	test $dirty = 0 || exit 0
done <list
`

// fill puts into b.dir/m what the guest gets: the tests, the modules, the script.
func (b *batch) fill(files map[string]string) error {
	m := filepath.Join(b.dir, "m")
	put := func(folder, name, from string) error {
		text, err := os.ReadFile(files[from])
		if err != nil {
			return fmt.Errorf("the module %s was not built: %w", from, err)
		}
		if text, err = renameModule(text, from, name); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(m, folder), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(m, folder, name+".ko"), text, 0o644)
	}
	var errs []error
	for _, name := range []string{"bulkdump", "bulkdump_minimal", "bulkdump_nested"} {
		errs = append(errs, put("original", name, name))
	}
	for _, one := range b.left() {
		name, _ := module(one.m.file)
		errs = append(errs, put(one.unit, name, one.unit))
	}
	errs = append(errs, os.WriteFile(filepath.Join(m, "batch.sh"), []byte(batchScript), 0o644),
		os.Link(b.r.binary, filepath.Join(m, "mutants-tests")))
	return errors.Join(errs...)
}

// renameModule gives a built module the name that the tests know.
func renameModule(text []byte, from, to string) ([]byte, error) {
	if from == to {
		return text, nil
	}
	f, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	s := f.Section(".gnu.linkonce.this_module")
	if s == nil {
		return nil, fmt.Errorf("%s is no module", from)
	}
	this := text[s.Offset : s.Offset+s.FileSize]
	at := bytes.Index(this, []byte(from+"\x00"))
	if at < 0 {
		return nil, fmt.Errorf("the module %s has another name", from)
	}
	clear(this[at : at+len(from)])
	copy(this[at:at+56], to) // MODULE_NAME_LEN
	return text, nil
}

// endsLockup is a parameter of the kernel. A loop in the kernel that nothing ends
// would last until the limit of all mutants of the guest.
const endsLockup = "softlockup_panic=1"

// boot runs the mutants in a guest, until one leaves a trace.
func (b *batch) boot(ctx context.Context, left []*batched) error {
	var list strings.Builder
	limit := 60
	for _, one := range left {
		fmt.Fprintf(&list, "%s %d %s\n", one.unit, one.limit, one.tests)
		limit += one.limit + 20
	}
	m := filepath.Join(b.dir, "m")
	if err := os.WriteFile(filepath.Join(m, "list"), []byte(list.String()), 0o644); err != nil {
		return err
	}
	args := []string{"--no-module", "--modprobe", "netlink_diag", "--append", unzeroed, "--append", endsLockup,
		"--timeout", strconv.Itoa(limit), "--out", filepath.Join(b.dir, "out")}
	entries, err := os.ReadDir(m)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "mutant") && e.IsDir() && !slices.ContainsFunc(left, func(one *batched) bool { return one.unit == e.Name() }) {
			continue
		}
		args = append(args, "--add", filepath.Join(m, e.Name()))
	}
	said, err := b.r.vm(ctx, true, append(args, "--", "sh", "batch.sh")...)
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		return errors.Join(err, ctx.Err())
	}
	return b.take(said, filepath.Join(b.dir, "out"))
}

// take takes what the script said. A mutant that began and did not end has ended
// the guest. What is found in the kernel, or a test that does not end, may be the
// work of an earlier mutant, so only that of a guest's first one counts; another
// stays, and is the first of the next guest.
func (b *batch) take(said, out string) error {
	var running *batched
	begun := 0
	for line := range strings.Lines(said) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "mutants:" {
			continue
		}
		at := slices.IndexFunc(b.mutants, func(one *batched) bool { return one.unit == words[2] })
		if at < 0 {
			return fmt.Errorf("what is this: %q", line)
		}
		if words[1] == "begin" {
			running = b.mutants[at]
			begun++
			continue
		}
		if words[1] != "end" || len(words) < 5 || b.mutants[at] != running {
			return fmt.Errorf("what is this: %q", line)
		}
		if words[4] == "0" || begun == 1 {
			running.res = ended(words[3], words[4], strings.Join(words[5:], " "), out)
		}
		running = nil
	}
	if running == nil {
		return nil
	}
	by, err := readVerdict(out)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	if begun == 1 {
		running.res = &result{State: killed, Stage: "near", By: by}
	}
	return nil
}

// ended is the result of a mutant whose tests ended with that code.
func ended(code, dirty, by, out string) *result {
	switch {
	case code == "0" && dirty == "0":
		return &result{State: survived, Stage: "near"}
	case code == "loading":
		by = "the module does not load"
	case code == "137":
		by = "the tests hang"
	case dirty == "unload":
		by += " the module cannot be unloaded"
	case dirty == "log":
		if line, err := readVerdict(out); err == nil {
			by += " " + line
		}
	}
	return &result{State: killed, Stage: "near", By: strings.TrimSpace(by)}
}
