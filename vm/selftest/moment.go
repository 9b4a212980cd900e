// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// moment is a point in a run at which a signal ends vm/run. Nothing may be
// left.
type moment struct {
	name   string
	kernel string        // 6.1, if empty
	sees   string        // the line that it prints just before; if empty, count from its start
	after  time.Duration // how long to wait after that
	has    []string      // the only entries in its cache; nil: all there are
	ended  string        // a child that it has had, and has no more; instead of a line
	stuck  bool          // nothing is compiled yet, and the compiler never ends
	flags  []string
	says   string // printed by the command before it sleeps
	unread bool   // nobody reads the output after that line
}

var (
	emulator  = []string{"qemu-*", "kvm-*"}
	justBuilt = append([]string{"root-6.1-*"}, emulator...)
	source    = append([]string{"source-*"}, emulator...)
)

var moments = []moment{
	{name: "it is compiled", after: 3 * time.Second, stuck: true},
	{name: "programs are built", after: 1200 * time.Millisecond},
	{name: "programs have been built", ended: "go"},
	{name: "a build root is fetched", sees: "fetching the build root", after: 4 * time.Second, has: emulator},
	{name: "QEMU is fetched", sees: "fetching QEMU", after: 4 * time.Second, has: []string{"root-6.1-*"}},
	{name: "a source is unpacked", kernel: "debug", sees: "building kernel", after: 2 * time.Second, has: source},
	{name: "a kernel is built", kernel: "debug", sees: "compiling kernel", after: 3 * time.Second, has: source},
	{name: "a module is built", after: 2 * time.Second, has: justBuilt},
	{name: "the guest boots", sees: "vm: booting", after: 2 * time.Second},
	{name: "gdb is awaited", sees: "    gdb ", flags: []string{"--gdb"}},
	{name: "the command runs", sees: "here it is", says: "here it is"},
	{name: "nobody reads", sees: "here it is", says: "here it is; yes", after: 3 * time.Second, unread: true},
}

// momentRows returns a row for each moment and each signal.
func momentRows() []check {
	var rows []check
	for i, m := range moments {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			rows = append(rows, check{fault: fmt.Sprintf("%s as %s", unix.SignalName(sig), m.name), kernel: cmp.Or(m.kernel, baseKernel),
				flags: m.flags, command: []string{"echo " + m.says + "; sleep 100"}, code: 128 + int(sig), moment: &moments[i], signal: sig})
		}
	}
	return rows
}

// leftAlone is how long leftovers may take to disappear. A killed process
// exists until its parent has reaped it.
const leftAlone = 3 * time.Second

// runMoment starts vm/run, ends it, and looks for leftovers. All processes that
// it leaves become our children (see adoptOrphans), so nothing else may run
// meanwhile.
func runMoment(ctx context.Context, c check) result {
	r := result{check: c}
	started := time.Now()
	dir, err := os.MkdirTemp("", "bulkdump-selftest.")
	if err == nil {
		defer os.RemoveAll(dir)
		err = r.endAt(ctx, dir)
	}
	if r.reason = "nothing is left"; err != nil {
		r.reason, r.wrong = err.Error(), "that nothing is left of it was expected"
	}
	r.took = time.Since(started)
	return r
}

// endAt does the work of runMoment, in a directory of its own.
func (r *result) endAt(ctx context.Context, dir string) error {
	if left := orphans(); len(left) > 0 {
		return fmt.Errorf("a row before it left running: %s", strings.Join(left, ", "))
	}
	m := r.check.moment
	tmp, cache := filepath.Join(dir, "tmp"), filepath.Join(dir, "cache")
	env, err := m.environment(dir, tmp, cache)
	if err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, r.check.args()...)
	cmd.Env = env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		return err
	}
	in.Close()
	said := make(chan []string, 1)
	seen := make(chan struct{})
	ended := make(chan struct{})
	from := io.Reader(out)
	if m.unread {
		from = pausing{out, seen, ended}
	}
	go func() { said <- readUntil(from, m.sees, seen) }()
	go func() { cmd.Wait(); close(ended) }()
	if m.ended != "" {
		awaitChild(cmd.Process.Pid, m.ended, ended)
	}

	early := ""
	select {
	case <-seen:
		time.Sleep(m.after)
		to := cmd.Process.Pid
		if r.check.signal == syscall.SIGINT {
			to = -to // the whole group, as a terminal does
		}
		if syscall.Kill(to, r.check.signal) != nil {
			early = "it ended before the signal"
		}
	case <-ended:
		early = "it ended before the signal"
	}
	<-ended
	left := orphans()
	out.Close()
	r.log = <-said
	r.code = cmd.ProcessState.ExitCode()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		r.code = 128 + int(ws.Signal()) // killed while it was still a shell
	}
	var wrong []string
	if early != "" {
		wrong = append(wrong, early)
	}
	if r.code != r.check.code {
		wrong = append(wrong, fmt.Sprintf("exit code %d was expected", r.check.code))
	}
	for _, name := range left {
		wrong = append(wrong, "still running: "+name)
	}
	wrong = append(wrong, leftFiles(tmp, cache)...)
	if now, err := os.ReadFile("/proc/self/mounts"); err != nil || !bytes.Equal(mounts, now) {
		wrong = append(wrong, "the mounts are not what they were")
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// awaitChild returns when a process has had a child of that name and has it no more,
// or when the process has ended. It does not sleep: the moment is a short one.
func awaitChild(process int, name string, ended <-chan struct{}) {
	children := fmt.Sprintf("/proc/%d/task/%[1]d/children", process)
	for had := false; ; {
		select {
		case <-ended:
			return
		default:
		}
		pids, _ := os.ReadFile(children)
		has := slices.ContainsFunc(strings.Fields(string(pids)), func(pid string) bool {
			comm, _ := os.ReadFile("/proc/" + pid + "/comm")
			return strings.TrimSpace(string(comm)) == name
		})
		if had && !has {
			return
		}
		had = had || has
	}
}

// stuckCompiler prints its version. Any other call never ends.
const stuckCompiler = `#!/bin/sh
case "$*" in *-V=full*) exec "$@" ;; esac
exec sleep 100
`

// environment returns the variables for the directory of temporary files and,
// if the moment needs one, for a partial cache.
func (m moment) environment(dir, tmp, cache string) ([]string, error) {
	if err := errors.Join(os.Mkdir(tmp, 0o755), os.Mkdir(cache, 0o755)); err != nil {
		return nil, err
	}
	env := append(os.Environ(), "TMPDIR="+tmp)
	if m.stuck {
		compiler := filepath.Join(dir, "compiler")
		env = append(env, "GOCACHE="+filepath.Join(dir, "go"), "GOFLAGS=-toolexec="+compiler)
		return env, os.WriteFile(compiler, []byte(stuckCompiler), 0o755)
	}
	if m.has == nil {
		return env, nil
	}
	more, err := partOfCache(cache, m.has)
	return append(env, more...), err
}

// partOfCache makes a cache with only some of the entries but all compiled
// packages, and returns the environment for it.
func partOfCache(cache string, has []string) (env []string, err error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	gocache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return nil, err
	}
	here := filepath.Join(cache, "bulkdump")
	if err := os.Mkdir(here, 0o755); err != nil {
		return nil, err
	}
	for _, pattern := range has {
		entries, _ := filepath.Glob(filepath.Join(base, "bulkdump", pattern))
		for _, e := range entries {
			if err := os.Symlink(e, filepath.Join(here, filepath.Base(e))); err != nil {
				return nil, err
			}
		}
	}
	return []string{"XDG_CACHE_HOME=" + cache, "GOCACHE=" + strings.TrimSpace(string(gocache))}, nil
}

// readUntil reads all lines, and closes seen at the first one with text.
func readUntil(r io.Reader, text string, seen chan<- struct{}) []string {
	var lines []string
	if text == "" {
		close(seen)
	}
	s := bufio.NewScanner(r)
	for s.Scan() {
		lines = append(lines, s.Text())
		if text != "" && strings.Contains(s.Text(), text) {
			text = ""
			close(seen)
		}
	}
	io.Copy(io.Discard, r) // after a line that is too long, so that the writer does not block
	return lines
}

// pausing is a reader that does not read between two events.
type pausing struct {
	io.Reader
	from, until <-chan struct{}
}

func (r pausing) Read(p []byte) (int, error) {
	select {
	case <-r.from:
		<-r.until
	default:
	}
	return r.Reader.Read(p)
}

// leftFiles lists temporary files and unfinished entries of the cache.
func leftFiles(tmp, cache string) []string {
	var left []string
	files, _ := filepath.Glob(filepath.Join(tmp, "*"))
	hidden, _ := filepath.Glob(filepath.Join(tmp, ".*"))
	parts, _ := filepath.Glob(filepath.Join(cache, "bulkdump", "*.part"))
	for _, f := range slices.Concat(files, hidden, parts) {
		left = append(left, "left: "+filepath.Base(f))
	}
	return left
}

// adoptOrphans makes orphaned processes our children.
func adoptOrphans() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// orphans gives our children time to end, kills those that do not, and returns
// their names. It is called when we have no children of our own.
func orphans() []string {
	for deadline := time.Now().Add(leftAlone); ; time.Sleep(50 * time.Millisecond) {
		children := childProcesses()
		if len(children) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			var names []string
			for pid, name := range children {
				names = append(names, name)
				unix.Kill(pid, unix.SIGKILL)
			}
			slices.Sort(names)
			return names
		}
	}
}

// childProcesses returns our living children by their ids. It reaps the dead.
func childProcesses() map[int]string {
	children := map[int]string{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		pid, name, state, parent := parseStat(string(text))
		switch {
		case parent != os.Getpid():
		case state == "Z":
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		default:
			children[pid] = name
		}
	}
	return children
}

// parseStat parses /proc/PID/stat, where the name may contain any character.
func parseStat(text string) (pid int, name, state string, parent int) {
	open, end := strings.Index(text, "("), strings.LastIndex(text, ")")
	if open < 0 || end < open {
		return 0, "", "", 0
	}
	pid, _ = strconv.Atoi(strings.TrimSpace(text[:open]))
	if f := strings.Fields(text[end+1:]); len(f) > 1 {
		state = f[0]
		parent, _ = strconv.Atoi(f[1])
	}
	return pid, text[open+1 : end], state, parent
}
