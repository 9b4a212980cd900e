// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkdump/vm/harness/internal/arch"
)

// QEMU's greeting and its events are no answers. What comes before it stops
// answering is kept.
func TestAskMonitor(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(fds[0], true)
	ours := os.NewFile(uintptr(fds[0]), "monitor")
	defer ours.Close()
	file := os.NewFile(uintptr(fds[1]), "qemu")
	theirs, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	asked := make(chan []string)
	go func() {
		defer theirs.Close()
		fmt.Fprintln(theirs, `{"QMP": {"version": {}}}`)
		var all []string
		for s := bufio.NewScanner(theirs); len(all) < 3 && s.Scan(); {
			all = append(all, s.Text())
			switch len(all) {
			case 1:
				fmt.Fprintln(theirs, `{"return": {}}`)
			case 2:
				fmt.Fprintln(theirs, `{"event": "RESUME"}`)
				fmt.Fprintln(theirs, `{"return": "VM status: running\r\n"}`)
			case 3:
				fmt.Fprintln(theirs, `{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}`)
			}
		}
		asked <- all
	}()
	m := openMonitor(ours)
	if got, want := m.askAll(arch.Host, 2), "info status\nVM status: running\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if all := <-asked; len(all) != 3 || !strings.Contains(all[2], "info registers -a") {
		t.Errorf("it was asked %q", all)
	}
	if reason := m.end(); reason != "guest-reset" {
		t.Errorf("the machine ended because of %q", reason)
	}
}

func TestProcessors(t *testing.T) {
	s := Seen{Machine: "info registers -a\n\nCPU#0\nRAX=0000000000000000\nRIP=ffffffff81a4e8cb RFL=00000246 HLT=1\nGDT=0\n" +
		"CPU#1\nRIP=ffffffff81c00ef0 RFL=00000046 HLT=0\nGDT=0\n"}
	const want = "processor 0 is halted at ffffffff81a4e8cb, processor 1 runs at ffffffff81c00ef0"
	if got := s.Processors(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for machine, at := range map[string]string{
		"i386":    "EIP=c1a4e8cb EFL=00000246",
		"arm64":   " PC=ffff800010a4e8cb X00=0000000000000000",
		"armhf":   "R12=00000000 R13=c1a00000 R14=c0100000 R15=c0a4e8cb",
		"ppc64el": "NIP c000000000a4e8cb   LR c000000000000000",
		"riscv64": " pc       ffffffff80a4e8cb\n mhartid  0000000000000000",
		"s390x":   "PSW=mask 0706400180000000 addr 0000000000a4e8cb cc 00",
	} {
		s := Seen{Machine: "info registers -a\n\nCPU#0\n" + at + "\n\nCPU#1\n"}
		if got := s.Processors(); !strings.HasPrefix(got, "processor 0 runs at ") || !strings.HasSuffix(got, "a4e8cb") {
			t.Errorf("%s: %q", machine, got)
		}
	}
	if got := (&Seen{}).Processors(); got != "" {
		t.Errorf("%q of nothing", got)
	}
}
