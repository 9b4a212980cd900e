// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"bulkdump/vm/internal/proto"
	"fmt"
	"slices"
	"strings"
	"time"
)

// seen is all that was seen of a run. Nothing in it is taken for granted: what
// was not seen did not happen.
type seen struct {
	kernel string
	accel  string

	boot     time.Duration  // until the command started
	hello    bool           // init ran
	running  bool           // the command started
	stopping bool           // the guest killed it when its time was over
	exit     *proto.Message // how it ended
	whole    bool           // all its output arrived
	unloaded *proto.Message
	taint    *proto.Message
	done     bool     // the guest's last word, with this run's token
	failed   bool     // the guest's last word was that it could not go on
	faults   []string // what the guest could not do
	garbled  error    // what came on the control port was no message
	timedOut string   // the phase whose limit passed
	limit    time.Duration
	unread   string // which output nobody read then
	qemuCode int
	qemuLog  string
	console  []string // lines
	kmsg     []string // lines
}

// fault notes what the guest could not do, once.
func (s *seen) fault(text string) {
	if text = "guest: " + text; !slices.Contains(s.faults, text) {
		s.faults = append(s.faults, text)
	}
}

func (s *seen) qemuEnd() string {
	return strings.TrimSpace(fmt.Sprintf("QEMU exited with %d %s", s.qemuCode, s.qemuLog))
}

// emulatorFailed tells whether QEMU aborted before it came to what is to be
// tested. With two processors that it translates for, version 10 does so on a
// busy host, rarely, while the kernel maps the devices' memory
// (system/physmem.c:iotlb_to_section).
func (s *seen) emulatorFailed() bool {
	return !s.hello && s.timedOut == "" && s.qemuCode == -1 && strings.Contains(s.qemuLog, "Assertion")
}
