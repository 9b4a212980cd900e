// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bulkdump/test/bench/figure"
	"bulkdump/test/bench/peak"
)

// findProgram finds a program that reads tables. Busybox has an ip, too.
func findProgram(ctx context.Context, name string) (string, error) {
	makers := map[string]string{"conntrack": "conntrack-tools", libmnlProgram: libmnlProgram, rustProgram: rustProgram}
	maker := cmp.Or(makers[name], "iproute2")
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"} {
		file, err := exec.LookPath(dir + name)
		if err != nil {
			continue
		}
		if said, err := exec.CommandContext(ctx, file, "-V").Output(); err == nil && strings.Contains(string(said), maker) {
			return file, nil
		}
	}
	return "", fmt.Errorf("no %s here", maker)
}

// tallyText runs a program that prints one record per line, or its tally.
func tallyText(ctx context.Context, r reader, program string) (sum tally, err error) {
	devices, err := deviceNumbers()
	if err != nil {
		return sum, err
	}
	cmd := exec.CommandContext(ctx, program, r.args...)
	var said bytes.Buffer // conntrack always says something
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return sum, err
	}
	if err := cmd.Start(); err != nil {
		return sum, err
	}
	lines := bufio.NewScanner(out)
	for err == nil && lines.Scan() {
		if r.parse == nil {
			err = json.Unmarshal(lines.Bytes(), &sum)
			continue
		}
		var w words
		if w, err = r.parse(lines.Text(), devices); err != nil {
			err = fmt.Errorf("%q: %w", lines.Text(), err)
		}
		sum.add(w)
	}
	if err = errors.Join(err, lines.Err()); err != nil {
		_ = cmd.Process.Kill()
	}
	if err = errors.Join(err, cmd.Wait()); err != nil {
		err = fmt.Errorf("%w\n%s", err, &said)
	}
	return sum, err
}

// measureProgram runs a program, which tallyText has run before, and discards its
// output. It traces only the program's start and its exit. At the exit, the kernel
// stops the program while it still has its memory, so its size can be read.
func measureProgram(r reader, program string) (reading figure.Reading, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return reading, err
	}
	defer null.Close()
	// Only the thread that started a process can trace it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	reading.Reader = r.name
	start := time.Now()
	p, err := os.StartProcess(program, append([]string{program}, r.args...), &os.ProcAttr{
		Files: []*os.File{null, null, null},
		Sys:   &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return reading, err
	}
	defer func() { err = errors.Join(err, p.Release()) }()
	var status unix.WaitStatus
	var usage unix.Rusage
	if err := wait(p.Pid, &status, &usage); err != nil { // it is stopped before its first instruction
		return reading, err
	}
	if err := unix.PtraceSetOptions(p.Pid, unix.PTRACE_O_TRACEEXIT|unix.PTRACE_O_TRACEEXEC|unix.PTRACE_O_EXITKILL); err != nil {
		return reading, err
	}
	for signal := 0; status.Stopped(); {
		if err := unix.PtraceCont(p.Pid, signal); err != nil {
			return reading, err
		}
		if err := wait(p.Pid, &status, &usage); err != nil {
			return reading, err
		}
		signal = 0
		switch cause := status.TrapCause(); {
		case cause == unix.PTRACE_EVENT_EXIT:
			if reading.PeakRSS, err = peak.RSS(strconv.Itoa(p.Pid)); err != nil {
				return reading, err
			}
		case status.Stopped() && cause <= 0: // a signal, which it gets when it continues
			signal = int(status.StopSignal())
		}
	}
	reading.Wall = time.Since(start)
	reading.User, reading.System = time.Duration(usage.Utime.Nano()), time.Duration(usage.Stime.Nano())
	if !status.Exited() || status.ExitStatus() != 0 {
		return reading, fmt.Errorf("%s ended with status %#x", program, uint32(status))
	}
	return reading, nil
}

func wait(pid int, status *unix.WaitStatus, usage *unix.Rusage) error {
	for {
		_, err := unix.Wait4(pid, status, 0, usage)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// A parser goes through the words of a line. It keeps its first error, and
// returns zero values from then on.
type parser struct {
	fields []string
	err    error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *parser) more() bool { return p.err == nil && len(p.fields) > 0 }

func (p *parser) next() (word string) {
	if len(p.fields) == 0 {
		p.fail("the line ends too early")
		return ""
	}
	word, p.fields = p.fields[0], p.fields[1:]
	return word
}

// number parses an unsigned number of that many bits.
func (p *parser) number(bits int) uint64 { return p.parseNumber(p.next(), bits) }

func (p *parser) parseNumber(word string, bits int) uint64 {
	n, err := strconv.ParseUint(word, 10, bits)
	if err != nil {
		p.fail("%q is no number of %d bits", word, bits)
	}
	return n
}

func (p *parser) addr() uint32 { return p.parseAddr(p.next()) }

func (p *parser) parseAddr(word string) uint32 {
	a, err := netip.ParseAddr(word)
	if err != nil || !a.Is4() {
		p.fail("%q is no IPv4 address", word)
		return 0
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// prefix parses an address with its prefix length, or "default". The length may
// be missing: then it is 32.
func (p *parser) prefix() (addr uint32, length uint8) {
	word := p.next()
	if word == "default" {
		return 0, 0
	}
	text, bits, ok := strings.Cut(word, "/")
	if !ok {
		return p.parseAddr(text), 32
	}
	n, err := strconv.ParseUint(bits, 10, 8)
	if err != nil || n > 32 {
		p.fail("%q has no length of a prefix", word)
	}
	return p.parseAddr(text), uint8(n)
}

func (p *parser) device(devices map[string]uint32) uint32 {
	word := p.next()
	n, ok := devices[word]
	if !ok {
		p.fail("%q is no device", word)
	}
	return n
}

// oneOf returns the meaning of a word.
func (p *parser) oneOf(meanings map[string]uint8) uint8 {
	word := p.next()
	n, ok := meanings[word]
	if !ok {
		p.fail("%q is not known", word)
	}
	return n
}
