// SPDX-License-Identifier: BSD-3-Clause

package check

import "testing"

// The worst of what several sizes show is told, and how many more there are.
func TestPerSize(t *testing.T) {
	v := &perSize{deviation: deviation{text: "2 records", n: 2}, size: 3776}
	if got := v.others(); got != "" {
		t.Errorf("of one size: %q", got)
	}
	v.add(deviation{text: "7 records", n: 7}, 4096)
	v.add(deviation{text: "3 records", n: 3}, 24576)
	if v.size != 4096 || v.text != "7 records" || v.others() != "; the like with 2 other sizes, up to 24576 bytes" {
		t.Errorf("pages of %d bytes: %s%s", v.size, v.text, v.others())
	}
}
