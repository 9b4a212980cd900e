// SPDX-License-Identifier: BSD-3-Clause

package broken

import (
	"bytes"
	gocontext "context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/cmd/dumpcheck/observe"
)

var context = gocontext.Background()

// inside tells whether a process in a pid and a user namespace of its own reads
// another number than its own in an attribute, where one outside reads its own.
func (t tester) inside(typ uint16) bool {
	t.Helper()
	own := map[uint16]int{attrPID: os.Getpid(), attrUID: os.Geteuid()}[typ]
	if got := number(t.dump(small).Records()[5], typ); got != uint32(own) {
		t.Errorf("outside, attribute %d is %d, want %d", typ, got, own)
	}
	var out bytes.Buffer
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestInside$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("BROKEN_INSIDE=%d %d", t.cmd, typ))
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWPID | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
		Credential:  &syscall.Credential{},
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	_, text, _ := strings.Cut(out.String(), "read ")
	var got, mine int
	if _, err := fmt.Sscanf(text, "%d own %d", &got, &mine); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	t.Logf("inside, attribute %d is %d, and should be %d", typ, got, mine)
	return got != mine && got == map[uint16]int{attrPID: cmd.Process.Pid, attrUID: 1000}[typ]
}

// TestInside is what inside runs.
func TestInside(t *testing.T) {
	cmd, typ, found := strings.Cut(os.Getenv("BROKEN_INSIDE"), " ")
	if !found {
		return
	}
	n, _ := strconv.Atoi(cmd)
	which, _ := strconv.Atoi(typ)
	own := map[int]int{attrPID: os.Getpid(), attrUID: os.Geteuid()}[which]
	s, err := observe.Dial(unix.NETLINK_GENERIC, small)
	if err != nil {
		t.Fatal(err)
	}
	d := s.Dump(tester{t, uint8(n)}.request(), limits)
	fmt.Printf("read %d own %d\n", number(d.Records()[5], uint16(which)), own)
}
