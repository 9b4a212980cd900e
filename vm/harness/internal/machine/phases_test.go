// SPDX-License-Identifier: BSD-3-Clause

package machine

import (
	"testing"
	"time"

	"bulkdump/vm/harness/internal/guest"
)

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
		if got := Limit(tt.phase, tt.accel, &tt.opts); got != tt.want {
			t.Errorf("%s on %s with %+v: got %v, want %v", tt.phase, tt.accel, tt.opts, got, tt.want)
		}
	}
	if got := Limit(PhaseCommand, "tcg", &Settings{Options: guest.Options{Shell: true}}); got < 24*time.Hour {
		t.Errorf("a shell ends after %v", got)
	}
}
