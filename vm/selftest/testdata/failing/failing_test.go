// SPDX-License-Identifier: BSD-3-Clause

// Package failing is a suite with a test that fails.
package failing

import "testing"

func TestPasses(*testing.T) {}

func TestFails(t *testing.T) { t.Error("a failure to order") }
