// SPDX-License-Identifier: BSD-3-Clause

package machine

import "testing"

func TestFaultIsToldOnce(t *testing.T) {
	o := &Seen{}
	for range 3 {
		o.Fault("lost")
	}
	if len(o.Faults) != 1 {
		t.Errorf("faults: %q", o.Faults)
	}
}
