// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A runner runs the tests on mutants.
type runner struct {
	top       string
	work      string   // temporary, for copies of sources
	cacheFrom string   // the user's own cache
	cache     string   // in work: what XDG_CACHE_HOME is for vm/run
	wrap      []string // put before each vm/run that boots
	near      float64  // how many seconds of tests a first stage has
	stages    []string
	debug     string   // the tests of the stages debug and kcsan
	binary    string   // the tests of ./test, for a guest
	names     []string // of those tests
	cover     *coverage
	stdout    io.Writer
	gocache   string // go's own cache
}

func (r *runner) lastStage() string { return r.stages[len(r.stages)-1] }

// A result is what became of a mutant.
type result struct {
	State   string   `json:"state"`
	Stage   string   `json:"stage,omitempty"` // the last one that ran
	By      string   `json:"by,omitempty"`    // the test or the line of the log that killed it
	Seconds float64  `json:"seconds"`
	Lines   []string `json:"lines"`
}

const (
	killed   = "killed"
	survived = "survived"
	dropped  = "dropped" // it does not compile
	same     = "same"    // the compiler makes the same code of it
)

// try runs the tests on a mutant until one kills it: all stages of nldump's, those
// after near of the module's. tests, if not empty, are those of near.
func (r *runner) try(ctx context.Context, m *mutant, tests string) (result, error) {
	start := time.Now()
	var res result
	var err error
	if m.isGo() {
		res, err = r.tryGo(ctx, m, tests)
	} else {
		res, err = r.tryC(ctx, m)
	}
	res.Seconds = time.Since(start).Seconds()
	res.Lines = m.lines
	if ctx.Err() != nil {
		return res, context.Cause(ctx)
	}
	return res, err
}

// unzeroed is a parameter of the kernel, that of make vm-test: memory comes with what
// was in it before, so that bytes that nobody writes show.
const unzeroed = "init_on_alloc=0"

// A stage is one run of tests.
type stage struct {
	name    string
	args    []string
	silence time.Duration // in a guest: several times as long as any test
}

// cStages are what a mutant of the module must survive after near: guests that run
// what can see it.
func (r *runner) cStages(m *mutant) []stage {
	unlike := r.cover.unlike(m)
	tests := func(of string) string {
		re := regexp.MustCompile(of)
		return only(slices.DeleteFunc(slices.Clone(r.names), func(test string) bool { return !re.MatchString(test) || unlike(test) }))
	}
	var all []stage
	for _, name := range r.stages {
		if name == "near" {
			continue
		}
		if name == "litmus" {
			all = append(all, stage{name: name})
			continue
		}
		of, limit, silence := "", "1800", 4*time.Minute
		if kernelOf(name) == name { // it checks itself, and is slow
			of, limit, silence = r.debug, "3600", 10*time.Minute
		}
		if regex := tests(of); regex != "" {
			all = append(all, stage{name, []string{"--kernel", kernelOf(name), "--timeout", limit, "--test", regex}, silence})
		}
	}
	return all
}

// kernelOf is the kernel of a stage.
func kernelOf(stage string) string {
	if stage == "debug" || stage == "kcsan" {
		return stage
	}
	return "6.1"
}

func (r *runner) tryC(ctx context.Context, m *mutant) (result, error) {
	dir, err := os.MkdirTemp(r.work, "c.")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	kmod := filepath.Join(dir, "kmod")
	if err := copyModules(filepath.Join(r.top, "kmod"), kmod); err != nil {
		return result{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, m.file), []byte(m.text()), 0o644); err != nil {
		return result{}, err
	}
	for _, s := range r.cStages(m) {
		if s.name == "litmus" {
			by, err := r.tryLitmus(ctx, kmod)
			if by != "" || err != nil {
				return result{State: killed, Stage: s.name, By: by}, err
			}
			continue
		}
		said, err := r.vm(ctx, false, "--module-dir", kmod, "--prepare", kernelOf(s.name))
		if err != nil {
			if ctx.Err() == nil && strings.Contains(said, "build the modules of") {
				return result{State: dropped, By: compilerError(said)}, nil
			}
			return result{}, fmt.Errorf("%w\n%s", err, said)
		}
		out := filepath.Join(dir, "out")
		args := append([]string{"--modprobe", "netlink_diag", "--append", unzeroed, "--module-dir", kmod, "--out", out}, s.args...)
		stdout := filepath.Join(out, "stdout")
		watched, stop := untilSilent(ctx, stdout, s.silence, time.Second)
		said, err = r.vm(watched, true, append(args, "--", "-test.failfast")...)
		hangs := errors.Is(context.Cause(watched), errSilent)
		stop()
		if err == nil {
			continue
		}
		if hangs && ctx.Err() == nil {
			return result{State: killed, Stage: s.name, By: "hang of " + lastTest(stdout)}, nil
		}
		by, verr := readVerdict(out)
		if verr != nil {
			return result{}, fmt.Errorf("%w\n%s", errors.Join(err, verr), said)
		}
		return result{State: killed, Stage: s.name, By: by}, nil
	}
	return result{State: survived, Stage: r.lastStage()}, nil
}

// tryLitmus says which test sees that the sources are not what the litmus tests are
// about.
func (r *runner) tryLitmus(ctx context.Context, kmod string) (by string, err error) {
	cmd := r.command(ctx, "go", "test", "-count=1", "./test/litmus")
	cmd.Dir = r.top
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "KMOD="+kmod)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 && goFailed.Match(out) {
		return goKilledBy(string(out)), nil
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return "", err
}

var errSilent = errors.New("the tests say nothing any more")

// untilSilent returns a context that ends when a file has not grown for that long. A
// mutant may hang where its test cannot end, and the limit of all tests is long.
func untilSilent(ctx context.Context, file string, silence, step time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		var size int64
		grown := time.Now()
		for ctx.Err() == nil {
			if st, err := os.Stat(file); err == nil && st.Size() != size {
				size, grown = st.Size(), time.Now()
			}
			if size > 0 && time.Since(grown) > silence {
				cancel(errSilent)
			}
			time.Sleep(step)
		}
	}()
	return ctx, func() { cancel(nil) }
}

var runLine = regexp.MustCompile(`(?m)^.?=== RUN +(Test\S+)$`)

// lastTest is the test that began last, in the output of tests.
func lastTest(file string) string {
	text, err := os.ReadFile(file)
	all := runLine.FindAllSubmatch(text, -1)
	if err != nil || len(all) == 0 {
		return "no test"
	}
	return string(all[len(all)-1][1])
}

var compilerLine = regexp.MustCompile(`(?m)^.*\berror: .*$|^ERROR: .*$`)

func compilerError(said string) string {
	line := strings.TrimSpace(compilerLine.FindString(said))
	_, text, ok := strings.Cut(line, "error: ")
	if ok {
		return text
	}
	return line
}

// A verdict is what is read of vm/run's summary.json.
type verdict struct {
	Code    int    `json:"code"`
	Log     string `json:"log"`
	Verdict string `json:"verdict"`
	Tests   []struct {
		Name   string `json:"name"`
		Result string `json:"result"`
	} `json:"tests"`
}

// harnessFailed is vm/run's exit status if the fault is not the guest's.
const harnessFailed = 121

// readVerdict says what was wrong in a guest. It is an error if the guest did not
// get as far as the module.
func readVerdict(out string) (string, error) {
	text, err := os.ReadFile(filepath.Join(out, "summary.json"))
	if err != nil {
		return "", err
	}
	var v verdict
	if err := json.Unmarshal(text, &v); err != nil {
		return "", err
	}
	return v.by()
}

func (v verdict) by() (string, error) {
	why := strings.TrimPrefix(v.Verdict, "vm: FAIL: ")
	if v.Code == harnessFailed || v.Code == 128+int(syscall.SIGINT) || v.Code == 128+int(syscall.SIGTERM) || strings.HasPrefix(why, "boot failure: the guest never spoke") {
		return "", errors.New(why)
	}
	var by []string
	for _, t := range v.Tests {
		if t.Result == "FAIL" {
			by = append(by, t.Name)
		}
	}
	if v.Log != "clean" && v.Log != "incomplete" {
		by = append(by, "log: "+v.Log)
	}
	if len(by) == 0 {
		by = append(by, why)
	}
	return strings.Join(by, ", "), nil
}

// tryGo runs the tests of the package, and then those of the module, on the mutant.
func (r *runner) tryGo(ctx context.Context, m *mutant, tests string) (result, error) {
	dir, err := os.MkdirTemp(r.work, "go.")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	changed := filepath.Join(dir, "changed.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(r.top, m.file): changed}})
	if err != nil {
		return result{}, err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := errors.Join(os.WriteFile(changed, []byte(m.text()), 0o644), os.WriteFile(file, overlay, 0o644)); err != nil {
		return result{}, err
	}
	for _, s := range []stage{{name: "near", args: []string{"-timeout", "30s", "-run", tests, "./nldump"}}, {name: "all", args: []string{"-timeout", "120s", "./..."}}} {
		if !slices.Contains(r.stages, s.name) {
			continue
		}
		args := []string{"test", "-vet=off", "-failfast", "-overlay", file}
		cmd := r.command(ctx, "go", append(args, s.args...)...)
		cmd.Dir = filepath.Join(r.top, "client")
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err == nil:
			continue
		case !errors.As(err, &exit):
			return result{}, err
		case strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]"):
			return result{State: dropped, By: goError(string(out))}, nil
		}
		return result{State: killed, Stage: s.name, By: goKilledBy(string(out))}, nil
	}
	return result{State: survived, Stage: r.lastStage()}, nil
}

func goError(out string) string {
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "#") {
			_, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
			return text
		}
	}
	return ""
}

var goFailed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)|^(panic: .*|fatal error: .*)$`)

// goKilledBy names the test that failed, or how the tests died.
func goKilledBy(out string) string {
	m := goFailed.FindStringSubmatch(out)
	switch {
	case m == nil:
		return "go test fails"
	case m[1] != "":
		return m[1]
	}
	if running := regexp.MustCompile(`running tests:\n\s*(\S+)`).FindStringSubmatch(out); running != nil {
		return running[1] + " (" + m[2] + ")"
	}
	return m[2]
}

// vm runs vm/run, and returns what it printed. boots: a guest is started.
func (r *runner) vm(ctx context.Context, boots bool, args ...string) (string, error) {
	return r.vmIn(ctx, r.cache, boots, args...)
}

// vmIn is the same with another cache; "": the user's.
func (r *runner) vmIn(ctx context.Context, cache string, boots bool, args ...string) (string, error) {
	line := append([]string{filepath.Join(r.top, "vm/run")}, args...)
	if boots {
		line = append(slices.Clone(r.wrap), line...)
	}
	cmd := r.command(ctx, line[0], line[1:]...)
	cmd.Dir = r.top
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOCACHE="+r.gocache)
	if cache != "" {
		cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+cache)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// patience is how long a program has to end its guest.
const patience = time.Minute

// command is a program in a process group of its own. If the context ends, all of
// the group is told to, so that a guest ends behind a wrapper, too.
func (r *runner) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = patience
	return cmd
}

// prepare builds the tests, and makes the cache of the mutants' modules. It has links
// to all that the user's own cache has, but the modules are in it alone, and go with
// it: a hundred mutants take a gigabyte.
func (r *runner) prepare(ctx context.Context) error {
	args := []string{"--no-module", "--prepare"}
	for _, name := range r.stages {
		args = append(args, kernelOf(name))
	}
	if said, err := r.vm(ctx, false, args...); err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	if err := r.buildTests(ctx); err != nil {
		return err
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	r.cacheFrom = filepath.Join(base, "bulkdump")
	r.cache = filepath.Join(r.work, "cache")
	return linkCache(r.cacheFrom, r.cache)
}

func linkCache(from, cache string) error {
	to := filepath.Join(cache, "bulkdump")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "modules-") || strings.HasSuffix(e.Name(), ".part") {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// buildTests builds the tests of ./test, and notes their names.
func (r *runner) buildTests(ctx context.Context) error {
	r.binary = filepath.Join(r.work, "mutants-tests")
	cmd := r.command(ctx, "go", "test", "-c", "-trimpath", "-ldflags=-s -w", "-o", r.binary, "./test")
	cmd.Dir, cmd.Env = r.top, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the tests: %w\n%s", err, out)
	}
	out, err := r.command(ctx, r.binary, "-test.list", "^Test").Output()
	r.names = strings.Fields(string(out))
	return err
}

// copyModules copies the sources of the modules, but not kmod/broken.
func copyModules(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == "broken" || rel == "rules" || rel == "scripts" {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		switch ext := filepath.Ext(path); {
		case strings.HasSuffix(path, ".mod.c"):
			return nil
		case ext != ".c" && ext != ".h" && d.Name() != "Kbuild" && d.Name() != "Makefile":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o644)
	})
}
