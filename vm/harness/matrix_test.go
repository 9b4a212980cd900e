// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"strings"
	"testing"
)

func TestLongestFirst(t *testing.T) {
	if got := strings.Join(longestFirst([]string{"6.1", "debug", "./tree", "kcsan", "7.3"}), " "); got != "debug kcsan 6.1 ./tree 7.3" {
		t.Error(got)
	}
}

// Two trees must not share a directory of results, nor get out of it.
func TestColumnDir(t *testing.T) {
	for kernel, want := range map[string]string{"6.1": "/o/6.1", "/home/me/linux": "/o/home-me-linux", "/home/me/../you/linux/": "/o/home-you-linux"} {
		if got := columnDir("/o", kernel); got != want {
			t.Errorf("%s: got %s, want %s", kernel, got, want)
		}
	}
}
