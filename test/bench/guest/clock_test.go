// SPDX-License-Identifier: BSD-3-Clause

package main

import "testing"

func TestSettled(t *testing.T) {
	looks := 0
	err := settled(func() float64 {
		if looks++; looks == 1 || looks == 40 {
			return 0.3
		}
		return 0.006 // the clock's interrupts
	})
	if err != nil || looks != 40+50 {
		t.Errorf("%v after %d looks", err, looks)
	}
	if err := settled(func() float64 { return 0.03 }); err == nil {
		t.Error("settled beside one that always runs")
	}
}
