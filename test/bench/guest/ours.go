// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"

	"bulkdump/client"
)

// ours is the client that is measured. Each of its dumps opens its own socket.
var ours *client.Client

func readLent(ctx context.Context, j *job, s *sink) error {
	for r, err := range ours.Records(ctx, j.options) {
		if err != nil {
			return err
		}
		if s.count(r); s.check {
			s.checksum.Add(r)
		}
	}
	return nil
}

func readArrays(ctx context.Context, j *job, s *sink) error {
	for page, err := range ours.Columns(ctx, j.options) {
		if err != nil {
			return err
		}
		if s.countColumns(page); s.check {
			var r client.Record
			for i := range page.Len() {
				page.Record(i, &r)
				s.checksum.Add(&r)
			}
		}
	}
	return nil
}

func readValues(ctx context.Context, j *job, s *sink) error {
	for e, err := range ours.Dump(ctx, j.options) {
		if err != nil {
			return err
		}
		if s.countEntry(&e); s.check {
			s.checksum.AddEntry(&e)
		}
	}
	return nil
}
