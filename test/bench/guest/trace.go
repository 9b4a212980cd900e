// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tracer records each system call of a process, with the instruction counter at
// its start and at its end.
type tracer struct{ dir string }

func newTracer() (*tracer, error) {
	t := &tracer{"/sys/kernel/tracing/instances/bench"}
	if err := os.Mkdir(t.dir, 0o755); err != nil {
		return nil, err
	}
	return t, errors.Join(t.write("trace_clock", "x86-tsc"), t.write("options/event-fork", "1"))
}

// command returns a command that runs args (as for exec.Command) and records
// the system calls of that process only.
func (t *tracer) command(args ...string) []string {
	const script = `cd "$1" && echo $$ >set_event_pid && echo 1 >events/raw_syscalls/enable && cd / && shift && exec "$@"`
	return append([]string{"sh", "-c", script, "bench", t.dir}, args...)
}

// room makes the buffer large enough for that many calls.
func (t *tracer) room(calls uint64) error {
	const recordSize = 96 // more than one event takes
	kib := max(2*calls*recordSize>>10, 4096)
	return errors.Join(t.write("buffer_size_kb", fmt.Sprint(kib)), t.write("trace", ""))
}

func (t *tracer) stop() (calls, error) {
	if err := errors.Join(t.write("events/raw_syscalls/enable", "0"), t.write("set_event_pid", "")); err != nil {
		return calls{}, err
	}
	f, err := os.Open(filepath.Join(t.dir, "trace"))
	if err != nil {
		return calls{}, err
	}
	defer f.Close()
	return parseTrace(f)
}

func (t *tracer) close() error { return os.Remove(t.dir) }

func (t *tracer) write(file, text string) error {
	return os.WriteFile(filepath.Join(t.dir, file), []byte(text), 0)
}

// calls is what a process did between its two marks. A mark is a getppid().
type calls struct {
	n, reads, bytes uint64
	instructions    uint64 // within the calls, without the cost of recording
}

// event is the start or the end of a call.
type event struct {
	thread string
	exit   bool
	at     uint64
	nr     int
	args   []uint64
	ret    int64
}

// waits are the calls in which a thread may sleep while another one runs. Their
// time is not counted.
var waits = map[int]bool{
	unix.SYS_FUTEX: true, unix.SYS_NANOSLEEP: true, unix.SYS_CLOCK_NANOSLEEP: true, unix.SYS_SCHED_YIELD: true,
	unix.SYS_EPOLL_WAIT: true, unix.SYS_EPOLL_PWAIT: true, unix.SYS_EPOLL_PWAIT2: true,
	unix.SYS_POLL: true, unix.SYS_PPOLL: true, unix.SYS_WAITID: true, unix.SYS_WAIT4: true,
}

var errTrace = errors.New("trace of system calls")

// parseTrace parses the text of the file trace.
func parseTrace(r io.Reader) (calls, error) {
	var c calls
	var timed, marks, least uint64 // least is the cheaper of the two marks, which shows the cost of recording
	began := map[string]event{}
	first := "" // the thread that became the contender: a shell until it called exec
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line := lines.Text()
		if in, all, ok := recorded(line); ok && in != all {
			return c, fmt.Errorf("%w: only %s of %s events are left", errTrace, in, all)
		}
		e, ok, err := parseEvent(line)
		if err != nil {
			return c, err
		}
		if !ok {
			continue
		}
		if first == "" {
			first = e.thread
		}
		if !e.exit {
			began[e.thread] = e
			continue
		}
		b, ok := began[e.thread]
		if delete(began, e.thread); !ok || b.nr != e.nr {
			continue // it started before the recording
		}
		took := e.at - b.at
		switch {
		case e.nr == unix.SYS_EXECVE && e.thread == first:
			marks = 0
		case e.nr == unix.SYS_GETPPID:
			if marks++; marks == 1 || took < least {
				least = took
			}
		case marks == 1:
			c.n++
			c.count(b, e)
			if !waits[e.nr] {
				timed++
				c.instructions += took
			}
		}
	}
	if marks != 2 {
		return c, fmt.Errorf("%w: %d marks, not 2", errTrace, marks)
	}
	if c.instructions < timed*least {
		return c, fmt.Errorf("%w: %d instructions in %d calls, each of at least %d", errTrace, c.instructions, timed, least)
	}
	c.instructions -= timed * least
	return c, nil
}

// count adds what a call read.
func (c *calls) count(begin, end event) {
	flags := map[int]int{unix.SYS_READ: -1, unix.SYS_RECVFROM: 3, unix.SYS_RECVMSG: 2}
	at, ok := flags[begin.nr]
	if !ok {
		return
	}
	c.reads++
	peeks := at >= 0 && begin.args[at]&unix.MSG_PEEK != 0
	if end.ret > 0 && !peeks {
		c.bytes += uint64(end.ret)
	}
}

// recorded parses the line that says whether events were lost.
func recorded(line string) (in, all string, ok bool) {
	_, rest, ok := strings.Cut(line, "entries-in-buffer/entries-written: ")
	if !ok {
		return "", "", false
	}
	rest, _, _ = strings.Cut(rest, " ")
	return strings.Cut(rest, "/")
}

// parseEvent parses a line of an event. ok reports whether it is one:
//
//	<...>-92      [000] .....      123456789: sys_enter: NR 47 (3, 7ffc1c, 0, 0, 0, 0)
//	<...>-92      [000] .....      123466789: sys_exit: NR 47 = 3712
func parseEvent(line string) (e event, ok bool, err error) {
	head, call, ok := strings.Cut(line, ": sys_enter: NR ")
	if !ok {
		if head, call, ok = strings.Cut(line, ": sys_exit: NR "); !ok {
			return e, false, nil
		}
		e.exit = true
	}
	bad := func() (event, bool, error) { return e, false, fmt.Errorf("%w: %q", errTrace, line) }
	task, _, ok := strings.Cut(head, " [")
	if !ok {
		return bad()
	}
	e.thread = strings.TrimSpace(task[strings.LastIndexByte(task, '-')+1:])
	if e.at, err = strconv.ParseUint(strings.TrimSpace(head[strings.LastIndexByte(head, ' ')+1:]), 10, 64); err != nil {
		return bad()
	}
	nr, rest, _ := strings.Cut(call, " ")
	if e.nr, err = strconv.Atoi(nr); err != nil {
		return bad()
	}
	if e.exit {
		e.ret, err = strconv.ParseInt(strings.TrimPrefix(rest, "= "), 10, 64)
	} else {
		_, err = fmt.Sscanf(rest, "(%x, %x, %x, %x", argument(&e, 0), argument(&e, 1), argument(&e, 2), argument(&e, 3))
	}
	if err != nil {
		return bad()
	}
	return e, true, nil
}

func argument(e *event, i int) *uint64 {
	if e.args == nil {
		e.args = make([]uint64, 4)
	}
	return &e.args[i]
}
