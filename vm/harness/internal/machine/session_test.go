// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkdump/vm/harness/internal/arch"
	"bulkdump/vm/harness/internal/guest"
	"bulkdump/vm/harness/internal/kernels"
	"bulkdump/vm/internal/proto"
)

// An emulator that fails is started once more; one that ends, or fails again, is
// not.
func TestBootAgain(t *testing.T) {
	const fails = "echo 'qemu: physmem.c:2671: iotlb_to_section: Assertion `x` failed.'; kill -ABRT $$"
	for _, tt := range []struct {
		name        string
		first, then string // what the emulator does
		starts      int
		end         string
	}{
		{"ends", "echo no such machine; exit 1", "exit 3", 1, "QEMU exited with 1 no such machine"},
		{"is killed", "echo out of memory; kill -KILL $$", "exit 3", 1, "QEMU exited with -1 out of memory"},
		{"fails", fails, "echo better; exit 3", 2, "QEMU exited with 3 better"},
		{"fails again", fails, fails, 2, "Assertion `x` failed."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			starts := filepath.Join(dir, "starts")
			script := fmt.Sprintf("echo >>%s\nif [ $(wc -l <%s) = 1 ]; then %s; else %s; fi\n", starts, starts, tt.first, tt.then)
			o := &Seen{}
			var stderr bytes.Buffer
			runScript(t, script, &Settings{CPUs: 1}, o, &stderr)
			text, err := os.ReadFile(starts)
			if n := len(text); err != nil || n != tt.starts {
				t.Errorf("%d starts, %v; want %d", n, err, tt.starts)
			}
			if end := o.QEMUEnd(); !strings.Contains(end, tt.end) {
				t.Errorf("%s; want %s", end, tt.end)
			}
			if said := strings.Count(stderr.String(), "once more"); said != tt.starts-1 {
				t.Errorf("it said: %s", &stderr)
			}
		})
	}
}

// A guest that never speaks is ended by the limit of its boot.
func TestBootTakesTooLong(t *testing.T) {
	o := &Seen{}
	settings := &Settings{CPUs: 1, BootLimit: 10 * time.Millisecond}
	runScript(t, "exec sleep 1000", settings, o, io.Discard)
	if o.TimedOut != PhaseBoot || o.Limit != settings.BootLimit || o.Hello {
		t.Errorf("it saw %+v", o)
	}
}

// The guest is ended at the first message that cannot be trusted. What came after
// that, or was cut off by the guest's end, is not told instead.
func TestGarbled(t *testing.T) {
	const hello, forged = `{"kind":"hello"}\n`, `{"kind":"done","text":"token"}\n`
	for _, tt := range []struct{ name, wrote, want string }{
		{"no message", `nonsense\n` + forged, `not a control message: "nonsense\n": invalid character 'o' in literal null (expecting 'u')`},
		{"forged last word", forged + `nonsense\n` + hello, "its last word has not this run's token"},
		{"forged last word, more cut off", forged + `{"kind`, "its last word has not this run's token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &Seen{}
			runScript(t, fmt.Sprintf("printf '%s' >&%d; exec sleep 1000", tt.wrote, 3+portControl), &Settings{CPUs: 1}, o, io.Discard)
			if o.Garbled == nil || o.Garbled.Error() != tt.want || o.Hello {
				t.Errorf("got %v, hello: %v; want %s", o.Garbled, o.Hello, tt.want)
			}
		})
	}
	o := &Seen{}
	runScript(t, fmt.Sprintf("printf '%s{\"kind' >&%d", hello, 3+portControl), &Settings{CPUs: 1}, o, io.Discard)
	if o.Garbled != nil || !o.Hello {
		t.Errorf("of a guest that went away amid a message: %v, hello: %v", o.Garbled, o.Hello)
	}
}

// runScript boots a shell script in place of QEMU.
func runScript(t *testing.T, script string, settings *Settings, o *Seen, stderr io.Writer) {
	t.Helper()
	qemu := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(qemu, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	image, err := os.Open(qemu)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o.Accel = "tcg"
	g := &guest.Guest{Kernel: &kernels.Kernel{Arch: arch.Host, Release: "6.1"}, Config: &proto.Config{}}
	if err := Boot(ctx, settings, &Emulator{arch.Host, qemu, "tcg"}, g, image, o, nil, io.Discard, stderr); err != nil {
		t.Fatal(err)
	}
}

func TestPhaseLimit(t *testing.T) {
	for _, tt := range []struct {
		phase, accel string
		opts         Settings
		want         time.Duration
	}{
		{PhaseBoot, "kvm", Settings{}, 20 * time.Second},
		{PhaseBoot, "tcg", Settings{}, time.Minute},
		{PhaseBoot, "tcg", Settings{ICount: true}, 3 * time.Minute},
		{PhaseBoot, "tcg", Settings{Timeout: time.Second}, time.Minute},
		{PhaseBoot, "tcg", Settings{BootLimit: time.Second}, time.Second},
		{PhaseStop, "tcg", Settings{}, time.Minute},
		{PhaseStop, "tcg", Settings{Timeout: time.Second}, 10 * time.Second},
		{PhaseStop, "kvm", Settings{Timeout: time.Minute}, 20 * time.Second},
		{PhaseOutput, "kvm", Settings{Timeout: time.Second}, 20 * time.Second},
		{PhaseCommand, "kvm", Settings{}, 5 * time.Minute},
		{PhaseCommand, "tcg", Settings{}, 15 * time.Minute},
		{PhaseCommand, "tcg", Settings{Timeout: time.Second}, time.Second},
		{PhaseCommand, "tcg", Settings{Options: guest.Options{Shell: true}, Timeout: time.Second}, time.Second},
		{PhaseUnload, "tcg", Settings{Options: guest.Options{Shell: true}}, time.Minute},
		{PhaseUnload, "tcg", Settings{Timeout: time.Second}, 20 * time.Second},
		{PhaseUnload, "tcg", Settings{Timeout: 30 * time.Second}, 30 * time.Second},
		{PhaseUnload, "tcg", Settings{Kernel: "debug"}, 4 * time.Minute},
		{PhaseUnload, "tcg", Settings{Timeout: time.Second, Kernel: "debug"}, 80 * time.Second},
		{PhaseCommand, "kvm", Settings{Kernel: "debug"}, 20 * time.Minute},
		{PhaseCommand, "tcg", Settings{Kernel: "kcsan"}, time.Hour},
	} {
		if got, _ := Limit(tt.phase, tt.accel, &tt.opts); got != tt.want {
			t.Errorf("%s on %s with %+v: got %v, want %v", tt.phase, tt.accel, tt.opts, got, tt.want)
		}
	}
	if got, _ := Limit(PhaseCommand, "tcg", &Settings{Options: guest.Options{Shell: true}}); got < 24*time.Hour {
		t.Errorf("a shell ends after %v", got)
	}
}

func TestFaultIsToldOnce(t *testing.T) {
	o := &Seen{}
	for range 3 {
		o.Fault("lost")
	}
	if len(o.Faults) != 1 {
		t.Errorf("faults: %q", o.Faults)
	}
}
