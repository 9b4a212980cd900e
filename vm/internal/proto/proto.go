// SPDX-License-Identifier: BSD-3-Clause

// Package proto is what the harness and the guest's init say to each other.
//
// What the guest is to do travels in the initramfs, as a Config; the control
// port carries one JSON Message a line, both ways. Nothing else is written to
// that port: a line that does not parse is a fault of the run, not noise.
package proto

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ConfigPath is where init finds its Config. It removes the file once read.
const ConfigPath = "/vm.json"

// Path is where programs are looked for: what was added to the guest comes
// before what every guest has.
const Path = "/root:/bin"

// DebugExitPort is the I/O port of QEMU's isa-debug-exit device. A byte b
// written to it ends QEMU with status b<<1|1, which no other end has.
const (
	DebugExitPort  = 0xf4
	DebugExitValue = 0x2a
	DebugExitCode  = DebugExitValue<<1 | 1
)

// Config is the whole of a run, as the guest sees it.
type Config struct {
	Token   string   // repeated by the guest in its last message
	Control string   // device of the control port
	Stdout  string   // device that takes the command's stdout
	Stderr  string   // device that takes the command's stderr
	Drivers []string // the kernel's own modules, in order of loading
	Modules []Module // modules to load before the command
	Command []string // exact argv
	Env     []string // added to init's own environment
	Dir     string   // working directory of the command
	Shell   bool     // give the command a terminal, on the Stdout device
	Size    Winsize  // of that terminal
	Wait    bool     // for KindGo, before the command
	Alone   bool     // there is no host to wait for: what --keep left was booted
}

// Module is a module to load, with its parameters as insmod takes them.
type Module struct {
	Path   string
	Params string
}

// Winsize is the size of a terminal, in characters.
type Winsize struct {
	Rows, Cols uint16
}

// Kind says what a Message is about.
type Kind string

// From the guest, in this order; the last three come at any time.
const (
	KindHello    Kind = "hello"    // init runs; Text is the kernel's release
	KindRunning  Kind = "running"  // modules are loaded, the command starts
	KindLoaded   Kind = "loaded"   // with Config.Wait: modules are loaded, at Sections
	KindStopping Kind = "stopping" // the answer to KindStop: the command was killed
	KindExit     Kind = "exit"     // the command ended: Status, or Signal
	KindOutput   Kind = "output"   // Stdout and Stderr bytes were written
	KindUnloaded Kind = "unloaded" // modules are gone, or Text says why not; Sections are where they were
	KindTaint    Kind = "taint"    // Taint as in /proc/sys/kernel/tainted
	KindDone     Kind = "done"     // the last word; Text is the token
	KindFail     Kind = "fail"     // the last word, too: the run could not go on; Text says why
	KindKmsg     Kind = "kmsg"     // Text is one record of /dev/kmsg
	KindNote     Kind = "note"     // something that the user should see
	KindFault    Kind = "fault"    // the run goes on, but cannot be clean; Text says why
)

// From the host.
const (
	KindGo      Kind = "go"      // the debugger is there: the command may start
	KindDrained Kind = "drained" // all output arrived: the guest may go on
	KindStop    Kind = "stop"    // end the command
	KindHangup  Kind = "hangup"  // nobody reads Text, stdout or stderr, any more
	KindResize  Kind = "resize"  // Size changed
	KindBye     Kind = "bye"     // the last word arrived: the guest may end the machine
)

// Message is one line on the control port.
type Message struct {
	Kind   Kind     `json:"kind"`
	Text   string   `json:"text,omitempty"`
	Status int      `json:"status,omitempty"`
	Signal int      `json:"signal,omitempty"`
	Stdout int64    `json:"stdout,omitempty"`
	Stderr int64    `json:"stderr,omitempty"`
	Taint  uint64   `json:"taint,omitempty"`
	Size   *Winsize `json:"size,omitempty"`

	Sections map[string]Sections `json:"sections,omitempty"` // by module
}

// Sections are a module's addresses, as /sys/module/NAME/sections has them.
type Sections map[string]string

// Writer sends messages. It is safe for concurrent use: a line is whole.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter returns a Writer on w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Send writes one message in one call of Write.
func (w *Writer) Send(m Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.w.Write(append(line, '\n'))
	return err
}

// Reader receives messages.
type Reader struct {
	r *bufio.Reader
}

// NewReader returns a Reader on r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReader(r)} }

// Next returns the next message. At the end it returns io.EOF; a last line that
// was cut off is io.ErrUnexpectedEOF, and one that is no message says so.
func (r *Reader) Next() (Message, error) {
	line, err := r.r.ReadBytes('\n')
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return Message{}, io.ErrUnexpectedEOF
	}
	if err != nil {
		return Message{}, err
	}
	var m Message
	if err := json.Unmarshal(line, &m); err != nil {
		return Message{}, fmt.Errorf("not a control message: %q: %w", line, err)
	}
	if m.Kind == "" {
		return Message{}, fmt.Errorf("control message of no kind: %q", line)
	}
	return m, nil
}
