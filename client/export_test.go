// SPDX-License-Identifier: BSD-3-Clause

package client

import "math"

// DialExample connects to a table in this process, with the ids 1, 2 and the
// largest one. After the first dump has started, 1 is deleted and 3 is created.
func DialExample() *Client {
	m := newModel()
	m.set(1, 2, math.MaxUint32)
	looks := 0
	m.busy = func() {
		if looks++; looks == 4 { // after table-get, the start, and the first record
			m.del(1)
			m.set(3)
		}
	}
	c, err := m.dial()
	if err != nil {
		panic(err)
	}
	return c
}
