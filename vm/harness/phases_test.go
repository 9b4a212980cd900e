// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"testing"
	"time"
)

func TestPhaseLimit(t *testing.T) {
	for _, tt := range []struct {
		phase, accel string
		opts         machineOptions
		want         time.Duration
	}{
		{phaseBoot, "kvm", machineOptions{}, 20 * time.Second},
		{phaseBoot, "tcg", machineOptions{}, time.Minute},
		{phaseBoot, "tcg", machineOptions{icount: true}, 3 * time.Minute},
		{phaseBoot, "tcg", machineOptions{timeout: time.Second}, time.Minute},
		{phaseBoot, "tcg", machineOptions{bootLimit: time.Second}, time.Second},
		{phaseStop, "tcg", machineOptions{}, time.Minute},
		{phaseStop, "tcg", machineOptions{timeout: time.Second}, 10 * time.Second},
		{phaseStop, "kvm", machineOptions{timeout: time.Minute}, 20 * time.Second},
		{phaseOutput, "kvm", machineOptions{timeout: time.Second}, 20 * time.Second},
		{phaseCommand, "kvm", machineOptions{}, 5 * time.Minute},
		{phaseCommand, "tcg", machineOptions{}, 15 * time.Minute},
		{phaseCommand, "tcg", machineOptions{timeout: time.Second}, time.Second},
		{phaseCommand, "tcg", machineOptions{guestOptions: guestOptions{shell: true}, timeout: time.Second}, time.Second},
		{phaseUnload, "tcg", machineOptions{guestOptions: guestOptions{shell: true}}, time.Minute},
		{phaseUnload, "tcg", machineOptions{timeout: time.Second}, 20 * time.Second},
		{phaseUnload, "tcg", machineOptions{timeout: 30 * time.Second}, 30 * time.Second},
		{phaseUnload, "tcg", machineOptions{kernel: "debug"}, 4 * time.Minute},
		{phaseUnload, "tcg", machineOptions{timeout: time.Second, kernel: "debug"}, 80 * time.Second},
		{phaseCommand, "kvm", machineOptions{kernel: "debug"}, 20 * time.Minute},
		{phaseCommand, "tcg", machineOptions{kernel: "kcsan"}, time.Hour},
	} {
		if got := phaseLimit(tt.phase, tt.accel, &tt.opts); got != tt.want {
			t.Errorf("%s on %s with %+v: got %v, want %v", tt.phase, tt.accel, tt.opts, got, tt.want)
		}
	}
	if got := phaseLimit(phaseCommand, "tcg", &machineOptions{guestOptions: guestOptions{shell: true}}); got < 24*time.Hour {
		t.Errorf("a shell ends after %v", got)
	}
}
