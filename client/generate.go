// SPDX-License-Identifier: BSD-3-Clause

package client

//go:generate go run ./internal/gen -spec ../kmod/bulkdump.yaml -o .
