// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bulkdump/vm/internal/proto"
	"fmt"
	"slices"
	"strings"
	"time"
)

// seen is all that was seen of a run. Nothing in it is taken for granted: what
// was not seen did not happen.
type Seen struct {
	Kernel string
	Accel  string

	Boot     time.Duration  // until the command started
	Hello    bool           // init ran
	Running  bool           // the command started
	Stopping bool           // the guest killed it when its time was over
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
	Unread   string // which output nobody read then
	QEMUCode int
	QEMULog  string
	Console  []string // lines
	Kmsg     []string // lines
}

// fault notes what the guest could not do, once.
func (s *Seen) Fault(text string) {
	if text = "guest: " + text; !slices.Contains(s.Faults, text) {
		s.Faults = append(s.Faults, text)
	}
}

func (s *Seen) QEMUEnd() string {
	return strings.TrimSpace(fmt.Sprintf("QEMU exited with %d %s", s.QEMUCode, s.QEMULog))
}

// emulatorFailed tells whether QEMU aborted before it came to what is to be
// tested. With two processors that it translates for, version 10 does so on a
// busy host, rarely, while the kernel maps the devices' memory
// (system/physmem.c:iotlb_to_section).
func (s *Seen) emulatorFailed() bool {
	return !s.Hello && s.TimedOut == "" && s.QEMUCode == -1 && strings.Contains(s.QEMULog, "Assertion")
}
