// SPDX-License-Identifier: BSD-3-Clause

// Package proto defines the messages between the harness and the guest's init.
//
// The guest's task is a Config in the initramfs. The control port carries JSON
// Messages, one per line, in both directions. Nothing else is written to that
// port, so a line that cannot be parsed fails the run.
package proto

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ConfigPath is where init finds its Config. Init removes the file after
// reading it.
const ConfigPath = "/vm.json"

// Path is the guest's PATH. Files added for a run come before those that every
// guest has.
const Path = "/root:/bin"

// DebugExitPort is the I/O port of QEMU's isa-debug-exit device. Writing a byte
// b to it ends QEMU with status b<<1|1. The status for DebugExitValue has no
// other cause.
const (
	DebugExitPort  = 0xf4
	DebugExitValue = 0x2a
	DebugExitCode  = DebugExitValue<<1 | 1
)

// Config describes the whole run to the guest.
type Config struct {
	Token   string   // repeated by the guest in its last message
	Control string   // device of the control port
	Stdout  string   // device that takes the command's stdout
	Stderr  string   // device that takes the command's stderr
	Drivers []string // modules that the ports need, in order of loading
	Own     []string // other modules that belong to the kernel
	Modules []Module // modules to load before the command
	Command []string // exact argv
	Env     []string // added to init's own environment
	Dir     string   // working directory of the command
	Shell   bool     // give the command a terminal, on the Stdout device
	Size    Winsize  // of that terminal
	Wait    bool     // wait for KindGo before the command
	Alone   bool     // there is no host to wait for: the guest was booted from what --keep left

	Counters string // send the counters of the objects in this directory, where the host built them
}

// Module is a module to load, with parameters in the format of insmod.
type Module struct {
	Path   string
	Params string
}

// Winsize is the size of a terminal, in characters.
type Winsize struct {
	Rows, Cols uint16
}

// Kind is the type of a Message.
type Kind string

// From the guest, in this order. The last three come at any time.
const (
	KindHello    Kind = "hello"    // init runs; Text is the kernel's release
	KindRunning  Kind = "running"  // modules are loaded, the command starts
	KindLoaded   Kind = "loaded"   // with Config.Wait: modules are loaded, at Sections
	KindStopping Kind = "stopping" // the answer to KindStop: the command was killed
	KindExit     Kind = "exit"     // the command ended: Status, or Signal
	KindOutput   Kind = "output"   // Stdout and Stderr bytes were written
	KindCounters Kind = "counters" // with Config.Counters: Data is the file Text below it, in gcov's format
	KindUnloaded Kind = "unloaded" // all counters are sent; modules are unloaded, or Text says why not; Sections are their former addresses
	KindTaint    Kind = "taint"    // Taint as in /proc/sys/kernel/tainted
	KindDone     Kind = "done"     // the last message; Text is the token
	KindFail     Kind = "fail"     // also a last message: the run could not go on; Text says why
	KindKmsg     Kind = "kmsg"     // Text is one record of /dev/kmsg
	KindNote     Kind = "note"     // something for the user
	KindFault    Kind = "fault"    // the run goes on, but cannot be clean; Text says why
)

// From the host.
const (
	KindGo      Kind = "go"      // the debugger is there: the command may start
	KindDrained Kind = "drained" // all output arrived; the guest may go on
	KindStop    Kind = "stop"    // end the command
	KindHangup  Kind = "hangup"  // nobody reads stdout or stderr (Text) any more
	KindResize  Kind = "resize"  // Size changed
	KindBye     Kind = "bye"     // the last message arrived; the guest may end the machine
)

// Message is a line on the control port.
type Message struct {
	Kind   Kind     `json:"kind"`
	Text   string   `json:"text,omitempty"`
	Status int      `json:"status,omitempty"`
	Signal int      `json:"signal,omitempty"`
	Stdout int64    `json:"stdout,omitempty"`
	Stderr int64    `json:"stderr,omitempty"`
	Taint  uint64   `json:"taint,omitempty"`
	Size   *Winsize `json:"size,omitempty"`
	Data   []byte   `json:"data,omitempty"`

	Sections map[string]Sections `json:"sections,omitempty"` // by module
}

// Sections are a module's addresses, in the format of
// /sys/module/NAME/sections.
type Sections map[string]string

// Writer sends messages. It is safe for concurrent use: lines are never mixed.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter returns a Writer that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Send writes a message with one call of Write.
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

// NewReader returns a Reader that reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReader(r)} }

// Next returns the next message. It returns io.EOF at the end,
// io.ErrUnexpectedEOF if the last line was cut off, and another error for a
// line that is not a message.
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
