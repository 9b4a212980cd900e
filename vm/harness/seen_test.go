// SPDX-License-Identifier: BSD-3-Clause

package main

import "testing"

func TestFaultIsToldOnce(t *testing.T) {
	o := &seen{}
	for range 3 {
		o.fault("lost")
	}
	if len(o.faults) != 1 {
		t.Errorf("faults: %q", o.faults)
	}
}
