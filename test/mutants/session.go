// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// A session runs the tests on the chosen mutants, several at a time.
type session struct {
	r     *runner
	tests map[string]string // of the stage near, by the mutant's id, if not those of the coverage

	mu     sync.Mutex // protects the two below
	kept   *record
	report *report
}

// A job is one mutant, or a batch.
type job func(ctx context.Context) error

// run returns the first error, or the cause of the context's end.
func (s *session) run(ctx context.Context, chosen []*mutant, workers, batch int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan job, len(chosen))
	for _, j := range s.jobs(chosen, batch) {
		queue <- j
	}
	close(queue)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for j := range queue {
				if ctx.Err() != nil {
					return
				}
				if err := j(ctx); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// jobs are those of the mutants whose result is not known. Batches come last: it takes
// minutes until one has a result.
func (s *session) jobs(chosen []*mutant, batch int) []job {
	var batches, singles []job
	var left []*mutant
	for _, m := range chosen {
		if res, known := s.kept.known(m.id, s.lastStage(m)); known {
			s.report.add(m, res)
		} else if m.isGo() || !slices.Contains(s.r.stages, "near") {
			singles = append(singles, func(ctx context.Context) error { return s.one(ctx, m) })
		} else {
			left = append(left, m)
		}
	}
	for ms := range slices.Chunk(left, batch) {
		batches = append(batches, func(ctx context.Context) error { return s.several(ctx, ms) })
	}
	return append(singles, batches...)
}

// lastStage is the last one of a mutant. What is known to survive need not be run
// against all tests each time.
func (s *session) lastStage(m *mutant) string {
	if _, has := s.report.reasons[m.id]; has && !m.isGo() && slices.Contains(s.r.stages, "near") {
		return "near"
	}
	return s.r.lastStage()
}

func (s *session) one(ctx context.Context, m *mutant) error {
	res, err := s.r.try(ctx, m, s.tests[m.id])
	if err != nil {
		return fmt.Errorf("%s: %w", m.id, err)
	}
	return s.done(m, res)
}

// several runs the stage near of a batch, and the other stages of what survives.
// After an error it keeps what is known already.
func (s *session) several(ctx context.Context, ms []*mutant) error {
	s.mu.Lock()
	fmt.Fprintf(s.r.stdout, "%d mutants of kmod/ are built, and tested in one guest: this takes some minutes\n", len(ms))
	s.mu.Unlock()
	results, err := s.r.nearAll(ctx, ms, s.tests)
	for _, m := range ms {
		res, ran := results[m.id]
		ends := s.lastStage(m) == "near"
		switch {
		case ran && (res.State != survived || ends):
			err = errors.Join(err, s.done(m, res))
		case err != nil:
		case ends: // no test reaches it
			err = s.done(m, result{State: survived, Lines: m.lines})
		default:
			err = s.one(ctx, m)
		}
	}
	return err
}

func (s *session) done(m *mutant, res result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.add(m, res)
	return s.kept.keep(m.id, res)
}
