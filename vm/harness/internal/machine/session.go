// SPDX-License-Identifier: BSD-3-Clause

// Package machine boots a guest in QEMU, follows it to its end, and records what
// was seen.
package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bulkdump/vm/harness/internal/guest"
	"bulkdump/vm/harness/internal/host"
	"bulkdump/vm/internal/proto"
	configs "bulkdump/vm/kernels"
)

// session is a running guest, and what is known of it.
type session struct {
	opts    *Settings
	seen    *Seen
	m       *machine
	guest   *guest.Guest
	ctl     *proto.Writer
	note    host.Notef
	started time.Time

	debugger *debugger // with --gdb
	monitor  *monitor

	phase   string
	waiting *waiting
	waited  time.Duration // its sum when the timer was set, and
	longer  time.Duration // what was added to the phase's limit since it began

	err    error // the harness's own
	timer  *time.Timer
	detach func() // gives our terminal back

	outBytes, errBytes atomic.Int64
	progress           chan struct{} // output arrived
	sinks              *sinks
	output             *proto.Message // what should arrive
}

// Boot starts the guest, serves it until it ends, and records what it saw in seen.
// If the emulator fails, and not the kernel, it says so and boots once more. The
// output of tests goes through what through returns; through may be nil.
func Boot(ctx context.Context, opts *Settings, e *Emulator, g *guest.Guest, image *os.File, seen *Seen, through func(io.Writer) io.WriteCloser, stdout, stderr io.Writer) (err error) {
	sinks, err := openSinks(opts.OutDir, through, stdout, stderr)
	if err != nil {
		return err
	}
	// After a signal, no reader is waited for.
	defer context.AfterFunc(ctx, sinks.hurry)()
	defer func() { err = errors.Join(err, sinks.close()) }()
	// A note that is not read must not keep the limits from being checked.
	notes := NewOutlet("notes", stderr)
	notes.Hurry()
	note := func(format string, args ...any) { fmt.Fprintf(notes, "vm: "+format+"\n", args...) }

	note("booting %s with %s, cpus: %d, %d MiB", g.Kernel.Release, strings.Join(e.accelArgs(opts), " "), opts.CPUs, opts.Mem)
	if n := runtime.NumCPU(); opts.CPUs > n {
		note("this machine has %d of those %d cpus: the guest's will wait for each other", n, opts.CPUs)
	}
	err = bootOnce(ctx, opts, e, g, image, seen, sinks, note)
	if err == nil && seen.emulatorFailed() {
		note("QEMU failed as the kernel booted, which is a fault of its own; once more: %s", seen.QEMULog)
		seen.Console = nil
		err = bootOnce(ctx, opts, e, g, image, seen, sinks, note)
	}
	return err
}

func bootOnce(ctx context.Context, opts *Settings, e *Emulator, g *guest.Guest, image *os.File, seen *Seen, sinks *sinks, note host.Notef) (err error) {
	var d *debugger
	if opts.GDB {
		if d, err = newDebugger(g.Kernel.Arch); err != nil {
			return err
		}
		defer d.close()
	}
	m, err := startQEMU(opts, e, g.Kernel, image, d)
	if err != nil {
		return err
	}
	defer m.close()
	s := &session{
		opts: opts, seen: seen, m: m, guest: g, note: note, debugger: d,
		ctl: proto.NewWriter(m.ports[portControl]), started: time.Now(),
		progress: make(chan struct{}, 1),
		sinks:    sinks,
		detach:   func() {},
		timer:    time.NewTimer(time.Hour),
		waiting:  &waiting{pid: m.cmd.Process.Pid, last: time.Now()},
	}
	s.enter(PhaseBoot)

	var readers sync.WaitGroup
	var errOut, errErr, errConsole error
	readers.Go(func() { errOut = relay(m.ports[portStdout], sinks.stdout, &s.outBytes, s.progress) })
	readers.Go(func() { errErr = relay(m.ports[portStderr], sinks.stderr, &s.errBytes, s.progress) })
	panicked := make(chan struct{})
	readers.Go(func() { seen.Console, errConsole = readConsole(m.ports[portConsole], sinks.console, panicked) })
	words := make(chan word)
	go readControl(m.ports[portControl], words)
	ended := make(chan struct{})
	go func() { m.cmd.Wait(); close(ended) }()
	go s.waiting.watch(ended)
	s.monitor = openMonitor(m.ports[portMonitor])
	defer func() { s.detach() }()

	s.serve(ctx, words, ended, panicked)
	seen.QEMUCode, seen.QEMULog = m.cmd.ProcessState.ExitCode(), m.complaint()
	seen.Left = e.left(seen.QEMUCode, s.monitor.end())
	if !seen.Whole && !seen.emulatorFailed() {
		sinks.hurry()
	}
	readers.Wait()
	return errors.Join(s.err, errOut, errErr, errConsole)
}

// serve handles the guest's messages until QEMU has ended and they are all read.
func (s *session) serve(ctx context.Context, words <-chan word, ended, panicked <-chan struct{}) {
	cancelled := ctx.Done()
	for words != nil || ended != nil {
		select {
		case w, ok := <-words:
			switch {
			case !ok:
				words = nil
			case s.seen.Garbled != nil: // no more of it can be trusted
			case w.err != nil:
				s.garbled(w.err)
			default:
				s.handle(w.Message)
			}
		case <-s.progress:
			s.checkOutput()
		case name := <-s.sinks.left:
			s.ctl.Send(proto.Message{Kind: proto.KindHangup, Text: name})
		case <-ended:
			ended = nil
		case <-panicked:
			// The guest should end by itself now; this is the limit.
			panicked = nil
			s.timer.Reset(10 * time.Second)
		case <-cancelled:
			cancelled = nil
			s.m.kill()
		case <-s.timer.C:
			s.expire()
		}
	}
	s.checkOutput()
}

func (s *session) enter(phase string) {
	s.phase, s.waited, s.longer = phase, s.waiting.sum(), 0
	limit, _ := Limit(phase, s.seen.Accel, s.opts)
	s.timer.Reset(limit)
}

// patienceMost is how many times its limit a phase gets on a busy host, beside the
// limit itself.
const patienceMost = 9

// patient gives the phase the time that QEMU waited for a processor since the timer
// was set, and reports whether that is worth another look. A limit of the user's is
// meant as it stands.
func (s *session) patient() bool {
	limit, asked := Limit(s.phase, s.seen.Accel, s.opts)
	now := s.waiting.sum()
	more := min(now-s.waited, patienceMost*limit-s.longer)
	s.seen.Waited = s.longer + max(0, now-s.waited)
	if asked || more < time.Second {
		return false
	}
	s.waited, s.longer = now, s.longer+more
	s.timer.Reset(more)
	return true
}

// expire ends what took too long: first the command, so that the kernel's log says
// where it hung, then the guest. From now on, output that is not read is dropped,
// so that it cannot block the guest's end.
func (s *session) expire() {
	if s.patient() {
		return
	}
	first := s.seen.TimedOut == ""
	if first {
		s.seen.TimedOut = s.phase
		s.seen.Limit, _ = Limit(s.phase, s.seen.Accel, s.opts)
		s.seen.Unread = s.sinks.unread()
	}
	s.sinks.hurry()
	switch {
	case s.phase == PhaseCommand:
		s.enter(PhaseStop)
		s.ctl.Send(proto.Message{Kind: proto.KindStop})
	case s.phase == PhaseOutput && first && s.seen.Unread != "":
		s.enter(PhaseOutput)
	default:
		if first { // the guest has not said where it hangs
			s.seen.Machine = s.monitor.askAll(s.guest.Kernel.Arch, s.opts.CPUs)
		}
		s.m.kill()
	}
}

func (s *session) handle(m proto.Message) {
	o := s.seen
	switch m.Kind {
	case proto.KindHello:
		o.Hello, o.Kernel = true, m.Text
		s.enter(PhaseLoad)
	case proto.KindLoaded:
		if err := s.awaitDebugger(m); err != nil {
			s.err = err
			s.m.kill()
		}
	case proto.KindRunning:
		o.Running, o.Boot = true, time.Since(s.started)
		s.enter(PhaseCommand)
		if s.opts.Shell {
			s.detach = s.attachTerminal()
		}
	case proto.KindStopping:
		o.Stopping = true
	case proto.KindExit:
		o.Exit = &m
		s.enter(PhaseOutput)
	case proto.KindOutput:
		s.output = &m
		s.checkOutput()
	case proto.KindCounters:
		if o.Counters == nil {
			o.Counters = map[string][]byte{}
		}
		o.Counters[m.Text] = m.Data
	case proto.KindUnloaded:
		o.Unloaded = &m
	case proto.KindTaint:
		o.Taint = &m
	case proto.KindDone:
		if m.Text != s.guest.Config.Token {
			s.garbled(errors.New("its last word has not this run's token"))
			return
		}
		o.Done = true
		s.dismiss()
	case proto.KindFail:
		o.Failed = true
		o.Fault(m.Text)
		s.dismiss()
	case proto.KindFault:
		o.Fault(m.Text)
	case proto.KindKmsg:
		o.Kmsg = append(o.Kmsg, kmsgLines(m.Text)...)
	case proto.KindNote:
		s.note("guest: %s", m.Text)
	}
}

// dismiss answers the guest's last message. Only then does init end the machine.
func (s *session) dismiss() {
	s.enter(PhaseExit)
	s.ctl.Send(proto.Message{Kind: proto.KindBye})
}

// checkOutput lets the guest go on when all its output has arrived.
func (s *session) checkOutput() {
	if s.output == nil || s.seen.Whole {
		return
	}
	if s.outBytes.Load() == s.output.Stdout && s.errBytes.Load() == s.output.Stderr {
		s.seen.Whole = true
		s.enter(PhaseUnload)
		s.ctl.Send(proto.Message{Kind: proto.KindDrained})
	}
}

// garbled ends a guest whose messages cannot be trusted.
func (s *session) garbled(why error) {
	s.seen.Garbled = why
	s.m.kill()
}

// A word is a message of the guest, or why what it wrote is none.
type word struct {
	proto.Message
	err error
}

// readControl reads the guest's messages until QEMU ends, which may cut off the last one.
func readControl(port io.Reader, words chan<- word) {
	defer close(words)
	for r := proto.NewReader(port); ; {
		m, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) {
			return
		}
		words <- word{m, err}
		if err != nil {
			return
		}
	}
}

// These are the phases of a run, in order. Each has a limit.
const (
	PhaseBoot    = "the boot"
	PhaseLoad    = "loading the modules"
	PhaseCommand = "the command"
	PhaseStop    = "ending the command"
	PhaseOutput  = "taking the rest of the output"
	PhaseUnload  = "the unload"
	PhaseExit    = "the guest's end"
)

// unlimited is long enough for any user.
const unlimited = 365 * 24 * time.Hour

// Limit is how long a phase may last, and whether the user said so. An emulated
// processor gets more time, and so does a kernel that checks itself.
func Limit(phase, accel string, opts *Settings) (limit time.Duration, asked bool) {
	limit = 20 * time.Second
	if phase == PhaseCommand {
		limit = 300 * time.Second
	}
	if accel == "tcg" {
		limit *= 3
	}
	if opts.ICount {
		limit *= 3
	}
	if configs.ChecksItself(opts.Kernel) {
		limit *= 4
	}
	switch {
	case opts.GDB:
		return unlimited, false // the guest stands still while its user thinks
	case phase == PhaseBoot && opts.BootLimit != 0:
		return opts.BootLimit, true
	case phase == PhaseCommand && opts.Timeout != 0:
		return opts.Timeout, true
	case phase == PhaseCommand && opts.Shell:
		return unlimited, false
	case phase == PhaseStop && opts.Timeout != 0:
		// A short run does not wait long for a hang, either.
		return min(limit, max(opts.Timeout, 10*time.Second)), false
	case phase == PhaseUnload && opts.Timeout != 0:
		return min(limit, max(opts.Timeout, limit/3)), false // kmemleak scans there
	}
	return limit, false
}

// Seen is everything that was seen of a run. It starts empty: what was not seen did
// not happen.
type Seen struct {
	Kernel string
	Accel  string

	Boot     time.Duration  // until the command started
	Hello    bool           // init ran
	Running  bool           // the command started
	Stopping bool           // the guest began to kill it, when its time was over
	Exit     *proto.Message // how it ended
	Whole    bool           // all its output arrived
	Unloaded *proto.Message
	Taint    *proto.Message
	Done     bool     // the guest's last word, with this run's token
	Failed   bool     // the guest's last word was that it could not go on
	Faults   []string // what the guest could not do
	Garbled  error    // what came on the control port was no message
	TimedOut string   // the phase whose limit passed
	Limit    time.Duration
	Waited   time.Duration // how long QEMU was ready to run in that phase, and the host was busy
	Unread   string        // which output was not read then
	Machine  string        // what QEMU said of the machine then, if the guest was ended at once
	Left     bool          // the machine ended as init ends it, and as nothing else does
	QEMUCode int
	QEMULog  string
	Console  []string // lines
	Kmsg     []string // lines

	Counters map[string][]byte // of the modules, by file; all of them, once Unloaded is there
}

// Fault records what the guest could not do, once.
func (s *Seen) Fault(text string) {
	if text = "guest: " + text; !slices.Contains(s.Faults, text) {
		s.Faults = append(s.Faults, text)
	}
}

// QEMUEnd is how QEMU ended, and what it said.
func (s *Seen) QEMUEnd() string {
	return strings.TrimSpace(fmt.Sprintf("QEMU exited with %d %s", s.QEMUCode, s.QEMULog))
}

// emulatorFailed reports whether QEMU aborted before init ran. With TCG and two
// processors, version 10 rarely does so on a busy host, while the kernel maps the
// memory of devices (system/physmem.c:iotlb_to_section).
func (s *Seen) emulatorFailed() bool {
	return !s.Hello && s.TimedOut == "" && s.QEMUCode == -1 && strings.Contains(s.QEMULog, "Assertion")
}
