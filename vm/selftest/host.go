// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// host is a change on the host's side of a run.
type host struct {
	how     string // for the table
	prepare func(cmd *exec.Cmd, dir string) (after func() error, err error)
}

var (
	fullCache  = &host{"with its cache on a full disk", prepareFullCache}
	fullTemp   = &host{"with its temporary files on a full disk", prepareFullTemp}
	nobody     = &host{"with a stdout that nobody reads", prepareNobody}
	lateReader = &host{"with a stdout that is read when all is full", prepareLateReader}
)

// onFullDisk mounts a disk of 200 MB on $1, copies the contents of $2 to it,
// and runs the rest of its arguments. A build root is larger than that.
const onFullDisk = `set -eu
mount -t tmpfs -o size=200M none "$1"
cp -a "$2/." "$1"
shift 2
exec "$@"
`

// moveToFullDisk runs cmd in a mount namespace of its own, where a full disk
// replaces dir/full.
func moveToFullDisk(cmd *exec.Cmd, dir, content string) (full string, err error) {
	args := []string{"unshare", "--mount"}
	if os.Getuid() != 0 {
		args = append(args, "--user", "--map-root-user", "--map-auto")
	}
	full = filepath.Join(dir, "full")
	args = append(args, "sh", "-c", onFullDisk, "sh", full, content)
	cmd.Args = append(append(args, cmd.Path), cmd.Args[1:]...)
	cmd.Path, err = exec.LookPath(args[0])
	return full, errors.Join(err, os.Mkdir(full, 0o755))
}

func prepareFullCache(cmd *exec.Cmd, dir string) (func() error, error) {
	cache := filepath.Join(dir, "cache")
	if err := os.Mkdir(cache, 0o755); err != nil {
		return nil, err
	}
	env, err := partOfCache(cache, emulator)
	if err != nil {
		return nil, err
	}
	full, err := moveToFullDisk(cmd, dir, cache)
	cmd.Env = append(append(os.Environ(), env...), "XDG_CACHE_HOME="+full)
	return func() error { return nil }, err
}

func prepareFullTemp(cmd *exec.Cmd, dir string) (func() error, error) {
	cache, none := filepath.Join(dir, "cache"), filepath.Join(dir, "none")
	if err := errors.Join(os.Mkdir(cache, 0o755), os.Mkdir(none, 0o755)); err != nil {
		return nil, err
	}
	env, err := partOfCache(cache, emulator)
	if err != nil {
		return nil, err
	}
	full, err := moveToFullDisk(cmd, dir, none)
	cmd.Env = append(append(os.Environ(), env...), "TMPDIR="+full)
	return func() error { return nil }, err
}

// stdoutPipe gives cmd a pipe as its stdout.
func stdoutPipe(cmd *exec.Cmd) (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err == nil {
		cmd.Stdout = w
	}
	return r, w, err
}

func prepareNobody(cmd *exec.Cmd, _ string) (func() error, error) {
	r, w, err := stdoutPipe(cmd)
	return func() error { return errors.Join(r.Close(), w.Close()) }, err
}

// The command writes a known text many times, more than all buffers on the way
// can hold. It says so when its writer is stuck.
const (
	manyTimes   = 170
	blockLines  = 10000
	consoleFull = "the console is full"
	fillConsole = `seq %d >/tmp/text
(for n in $(seq %d); do cat /tmp/text; echo $n >/tmp/n; done) &
before=
until [ "$before" ] && [ "$before" = "$(cat /tmp/n)" ]; do before=$(cat /tmp/n 2>/dev/null); sleep 5; done
echo %s >&2
wait
`
)

func fillingCommand() string {
	return fmt.Sprintf(fillConsole, blockLines, manyTimes, consoleFull)
}

// prepareLateReader starts to read when the command says that all buffers are
// full, and compares every byte.
func prepareLateReader(cmd *exec.Cmd, _ string) (func() error, error) {
	var block strings.Builder
	for i := range blockLines {
		fmt.Fprintln(&block, i+1)
	}
	want := strings.Repeat(block.String(), manyTimes)
	r, w, err := stdoutPipe(cmd)
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	read := make(chan error, 1)
	full := cmd.Stderr.(*watched).await(consoleFull)
	go func() {
		select {
		case <-full:
		case <-ended:
			select {
			case <-full: // both, and what it wrote came first
			default:
				read <- errors.New("it ended before all was full")
				return
			}
		}
		errFull := isFullPipe(r)
		got, err := io.ReadAll(r)
		if err = errors.Join(errFull, err); err == nil && string(got) != want {
			err = fmt.Errorf("%d bytes came, %d the same, of %d", len(got), samePrefix(string(got), want), len(want))
		}
		read <- err
	}()
	return func() error {
		close(ended)
		w.Close()
		defer r.Close()
		return <-read
	}, nil
}

// isFullPipe returns an error if the pipe has room for another page.
func isFullPipe(r *os.File) error {
	holds, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
	if err != nil {
		return err
	}
	room, err := unix.FcntlInt(r.Fd(), unix.F_GETPIPE_SZ, 0)
	if err == nil && holds <= room-os.Getpagesize() {
		err = fmt.Errorf("the pipe was not full: %d of %d bytes", holds, room)
	}
	return err
}

func samePrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// watched keeps what is written, and reports when it contains a text.
type watched struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	seen chan struct{}
}

// await must be called before the first write.
func (w *watched) await(text string) <-chan struct{} {
	w.want, w.seen = text, make(chan struct{})
	return w.seen
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if w.want != "" && strings.Contains(w.text.String(), w.want) {
		w.want = ""
		close(w.seen)
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}
