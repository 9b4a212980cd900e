// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/client"
	"bulkdump/client/mirror"
	"bulkdump/cmd/bulkdump/internal/lab/nlsock"
	"bulkdump/cmd/bulkdump/internal/output"
)

// A hanging table answers when the context is done: behind somebody's long fill.
type hanging struct{ *fakeTable }

func hang[T any](ctx context.Context) (none T, err error) {
	<-ctx.Done()
	return none, ctx.Err()
}

func (hanging) Get(ctx context.Context, _ uint32) (client.Entry, error) {
	return hang[client.Entry](ctx)
}
func (hanging) GetByName(ctx context.Context, _ string) (client.Entry, error) {
	return hang[client.Entry](ctx)
}
func (hanging) New(ctx context.Context, _ client.Entry) (uint64, error)  { return hang[uint64](ctx) }
func (hanging) Set(ctx context.Context, _ client.Change) (uint64, error) { return hang[uint64](ctx) }
func (hanging) Delete(ctx context.Context, _ uint32) (uint64, error)     { return hang[uint64](ctx) }
func (hanging) Fill(ctx context.Context, _ client.FillOptions) (client.Filled, error) {
	return hang[client.Filled](ctx)
}
func (hanging) Flush(ctx context.Context) (client.Flushed, error) { return hang[client.Flushed](ctx) }
func (hanging) Table(ctx context.Context) (client.Table, error)   { return hang[client.Table](ctx) }
func (hanging) Records(ctx context.Context, _ client.DumpOptions) iter.Seq2[*client.Record, error] {
	return func(yield func(*client.Record, error) bool) { yield(hang[*client.Record](ctx)) }
}

func (h hanging) Sync(ctx context.Context, _ client.SyncOptions) iter.Seq2[*client.Record, error] {
	return h.Records(ctx, client.DumpOptions{})
}

func (h hanging) DumpParallel(ctx context.Context, _ int, _ client.ParallelOptions) iter.Seq2[*client.Record, error] {
	return h.Records(ctx, client.DumpOptions{})
}

// whoHangs are the command lines that end with --timeout.
var whoHangs = append(slices.Clone(everyCommand), []string{"dump", "--sync"}, []string{"dump", "--parallel", "2"},
	[]string{"cursors"}, []string{"guard"}, []string{"trace", "--scenario", "slow-reader"})

func onHanging(t *testing.T) (*app, *bytes.Buffer, *bytes.Buffer) {
	a, stdout, stderr := newApp(&fakeTable{})
	a.dial = func() (table, error) { return hanging{&fakeTable{}}, nil }
	a.quit = func(code int) { t.Errorf("it had to be ended, with %d", code) }
	return a, stdout, stderr
}

func TestTimeout(t *testing.T) {
	for _, args := range whoHangs {
		synctest.Test(t, func(t *testing.T) {
			a, stdout, stderr := onHanging(t)
			start := time.Now()
			got := runApp(t.Context(), t, a, stdout, stderr, append(slices.Clone(args), "--timeout", "90s")...)
			got.check(t, ran{got.stdout, "bulkdump: not done within 1m30s: give a longer --timeout\n", exitFailed})
			if took := time.Since(start); took != 90*time.Second {
				t.Errorf("%q took %v", args, took)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		a, stdout, stderr := newApp(nil)
		a.lab.sockets = func(ctx context.Context, _ nlsock.Source) (*nlsock.List, error) { return hang[*nlsock.List](ctx) }
		got := runApp(t.Context(), t, a, stdout, stderr, "sockets", "--timeout", "2h")
		got.check(t, ran{"", "bulkdump: not done within 2h0m0s", exitFailed})
	})
	// What is done in time is as before.
	f, _ := three()
	run(t, f, "dump", "-o", "count", "--timeout", "1h").check(t, ran{stdout: "3\n"})
}

// The exit code says which signal ended the command, whatever the command.
func TestSignals(t *testing.T) {
	for _, args := range whoHangs {
		for s, name := range map[unix.Signal]string{unix.SIGINT: "SIGINT", unix.SIGTERM: "SIGTERM"} {
			synctest.Test(t, func(t *testing.T) {
				a, stdout, stderr := onHanging(t)
				ctx, signal := interruptible(t)
				time.AfterFunc(time.Minute, func() { signal(s) })
				got := runApp(ctx, t, a, stdout, stderr, args...)
				got.check(t, ran{got.stdout, "bulkdump: ended by " + name + " before it was done\n", 128 + int(s)})
			})
		}
	}
}

// The kernel works on a page for hours: the program ends all the same.
func TestEndInTheKernel(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		signal unix.Signal
		want   ran
	}{
		{[]string{"dump", "--timeout", "5s"}, 0, ran{"", "bulkdump: not done within 5s: give a longer --timeout\n", exitFailed}},
		{[]string{"dump"}, unix.SIGINT, ran{"", "bulkdump: ended by SIGINT before it was done\n", 130}},
		{[]string{"dump"}, unix.SIGTERM, ran{"", "bulkdump: ended by SIGTERM before it was done\n", 143}},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, _ := three()
			a, _, stderr := newApp(f)
			quit := make(chan struct{})
			f.each = func(int) { <-quit }
			code := -1
			a.quit = func(c int) {
				code = c
				close(quit)
			}
			ctx, signal := interruptible(t)
			if tt.signal != 0 {
				time.AfterFunc(5*time.Second, func() { signal(tt.signal) })
			}
			start := time.Now()
			_ = a.run(ctx, tt.args)
			if took := time.Since(start); took != 5*time.Second+patience {
				t.Errorf("it took %v", took)
			}
			// The program is over by then; only this test is not.
			said, _, _ := strings.Cut(stderr.String(), "\n")
			ran{"", said + "\n", code}.check(t, tt.want)
		})
	}
}

// Nobody reads the output: --timeout ends that, and a signal says how to.
func TestEndWhileNobodyReads(t *testing.T) {
	for _, bySignal := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, _ := three()
			f.records = slices.Repeat(f.records, 10_000)
			a, _, stderr := newApp(f)
			r, w := io.Pipe()
			a.onTerminals(w, false, stderr, 0)
			code := -1
			a.quit = func(c int) {
				code = c
				_ = r.Close()
			}
			ctx, signal := interruptible(t)
			args := []string{"dump", "--timeout", "5s"}
			want := "bulkdump: not done within 5s: nobody reads the output\n"
			if bySignal {
				args, want = args[:1], "bulkdump: nobody reads the output: send the signal again to end at once\n"
				time.AfterFunc(time.Second, func() { signal(unix.SIGINT) })
				time.AfterFunc(time.Minute, func() { _ = r.Close() })
			}
			_ = a.run(ctx, args)
			if (code == exitFailed) == bySignal || !strings.HasPrefix(stderr.String(), want) {
				t.Errorf("ended with %d, stderr %q, want %q", code, stderr, want)
			}
		})
	}
}

// No failed write is silent, not even that of a help.
func TestFullDiskOfAll(t *testing.T) {
	for _, args := range [][]string{
		{"--help"}, {"help", "dump"}, {"dump", "--help"}, {"--version"}, {"schema"}, {"schema", "dump"},
		{"completion", "bash"}, {"completion", "zsh"}, {"completion", "fish"}, {"sockets"}, {"sockets", "-o", "csv"},
		{"trace"}, {"trace", "-o", "svg"}, {"watch"}, {"mirror", "--once"},
	} {
		f := &fakeTable{mstats: mirror.Stats{Synced: true}}
		runTo(t, f, fullDisk(t), args...).check(t, ran{"", "write /dev/full: no space left on device\n", exitFailed})
		runTo(t, f, output.ClosedFile{}, args...).check(t, ran{"", "write /dev/stdout: bad file descriptor\n", exitFailed})
		if r := runTo(t, f, closedPipe(t), args...); r.code != exitOK || r.stderr != "" {
			t.Errorf("%q into a closed pipe: %+v", args, r)
		}
	}
}

// shell runs a line in which $bulkdump is the program.
func shell(t *testing.T, line string) ran {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Env = append(os.Environ(), asProgram+"=1", "bulkdump="+exe)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err, exit := cmd.Run(), (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func TestProgramWithStdoutClosed(t *testing.T) {
	for _, args := range []string{"--help", "--version", "schema", "sockets"} {
		shell(t, "$bulkdump "+args+" >&-").check(t, ran{"", "bulkdump: write /dev/stdout: bad file descriptor\n", exitFailed})
		shell(t, "$bulkdump "+args+" >/dev/null").check(t, ran{})
		shell(t, "$bulkdump "+args+" >/dev/full").check(t, ran{"", "bulkdump: write /dev/stdout: no space left on device\n", exitFailed})
	}
}

// startSockets starts the program and returns when it has begun to write. It
// cannot end until somebody reads.
func startSockets(t *testing.T) (cmd *exec.Cmd, stdout *os.File, stderr *bufio.Reader) {
	t.Helper()
	for range 200 { // a line each
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		if err == nil {
			t.Cleanup(func() { _ = unix.Close(fd) })
			err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r, w := pipe(t)
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	cmd = program(t, "sockets", "-o", "jsonl")
	cmd.Stdout = w
	p, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return cmd, r, bufio.NewReader(p)
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close()
		_ = w.Close()
	})
	return r, w
}

// The program dies of the signal, so that the shell that runs it knows: its
// status is 128 plus the number.
func TestProgramDiesOfSignal(t *testing.T) {
	for _, s := range []unix.Signal{unix.SIGINT, unix.SIGTERM} {
		for _, twice := range []bool{false, true} {
			cmd, stdout, stderr := startSockets(t)
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			// Nobody reads: it says so.
			line, err := stderr.ReadString('\n')
			if err != nil || line != "bulkdump: nobody reads the output: send the signal again to end at once\n" {
				t.Errorf("%v: %q, %v", s, line, err)
			}
			if twice {
				err = cmd.Process.Signal(s)
			} else {
				_, err = io.Copy(io.Discard, stdout)
			}
			if err != nil {
				t.Error(err)
			}
			_ = cmd.Wait()
			if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != s {
				t.Errorf("%v, want death by %v", cmd.ProcessState, s)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	got := run(t, &fakeTable{}, "--version")
	for _, want := range []string{"bulkdump  ", "go        go1.", "revision  "} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%+v, want %q in it", got, want)
		}
	}
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "d20dfe6"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	info.Main.Version = "v1.2.3"
	text := fmt.Sprint(versionFields(info, true))
	for _, want := range []string{"{bulkdump v1.2.3}", "{revision d20dfe6}", "{committed 2026-01-02T03:04:05Z}", "{modified true}"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s, want %s in it", text, want)
		}
	}
	if text := fmt.Sprint(versionFields(nil, false)); !strings.Contains(text, "{bulkdump unknown} {go go") || !strings.Contains(text, "{revision unknown}") {
		t.Error(text)
	}
}

// Messages do not quote a Go package's view of a value.
func TestMessagesNameNoPackage(t *testing.T) {
	for _, args := range [][]string{
		{"dump", "--sync=x"}, {"dump", "--help=x"}, {"--version=x"}, {"dump", "--timeout", "5"}, {"trace", "--delay", "x"},
		{"dump", "--from", "x"}, {"dump", "--from", "99999999999999999999999"}, {"dump", "--cursor", "x"},
		{"new", "1", "x", "--payload", "hex:x"}, {"new", "1", "x", "--payload", "hex:abc"},
	} {
		got := run(t, &fakeTable{}, args...)
		for _, leak := range []string{"strconv", "encoding", "hex string", "invalid syntax", "time: ", "out of range", "json", "pflag"} {
			if strings.Contains(got.stderr, leak) || got.code != exitUsage {
				t.Errorf("%q: %+v", args, got)
			}
		}
	}
}
