// SPDX-License-Identifier: BSD-3-Clause

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// guardPatience bounds the wait for an event that must come.
const guardPatience = 30 * time.Second

// An actor is a thread that makes one request after the other. Its events are
// recognized by the thread's number.
type actor struct {
	tid   int
	asked chan func() error
	ended chan error // one for each request
}

func newActor() *actor {
	a := &actor{asked: make(chan func() error, 2), ended: make(chan error, 2)}
	tid := make(chan int)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- unix.Gettid()
		for fn := range a.asked {
			a.ended <- fn()
		}
		close(a.ended)
	}()
	a.tid = <-tid
	return a
}

// leave waits until all requests have ended.
func (a *actor) leave() (errs []error) {
	close(a.asked)
	for err := range a.ended {
		errs = append(errs, err)
	}
	return errs
}

// A guardStage is where the actors meet.
type guardStage struct {
	trace  collector
	actors map[int]string // by the number of the thread
	tell   Tell
}

// events returns all events so far, with the names of their actors.
func (s *guardStage) events() ([]GuardEvent, error) {
	traced, err := s.trace.Events()
	if err != nil {
		return nil, err
	}
	events, err := guardEvents(traced)
	for i := range events {
		e := &events[i]
		e.Actor = others
		if name, ok := s.actors[e.tid]; ok {
			e.Actor = name
		}
	}
	return events, err
}

// await waits for an event.
func (s *guardStage) await(ctx context.Context, what string, is func(GuardEvent) bool) error {
	s.tell(what)
	for deadline := time.Now().Add(guardPatience); ; runtime.Gosched() {
		events, err := s.events()
		switch {
		case err != nil:
			return err
		case slices.ContainsFunc(events, is):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("not traced within %v: %s", guardPatience, what)
		}
	}
}

// by returns a condition for await: one of the events, by the actor.
func by(actor string, events ...string) func(GuardEvent) bool {
	return func(e GuardEvent) bool { return e.Actor == actor && slices.Contains(events, e.Event) }
}

// play has the actors come and go, and returns which of reader B's lookups found
// an entry. If the guard misbehaves, play goes on: the events will show it.
func (s *guardStage) play(ctx context.Context, k guardKernel, t, second Table) (found []bool, err error) {
	stayer, err := k.stayIn()
	if err != nil {
		return nil, fmt.Errorf("start reader A: %w", err)
	}
	w, b := newActor(), newActor()
	s.actors[w.tid], s.actors[b.tid] = writer, readerB

	// These run in an actor's thread.
	own := context.WithoutCancel(ctx)
	flush := func() error { _, err := t.Flush(own); return err }
	lookup := func() error { _, err := second.Get(own, 0); return err }
	killed := false
	kill := func() error { killed = true; return stayer.kill() }
	err = func() error {
		err := s.await(ctx, "reader A enters", func(e GuardEvent) bool {
			if e.Event != readEnter || e.Actor != others || !stayer.owns(e.tid) {
				return false
			}
			s.actors[e.tid] = readerA
			return true
		})
		if err != nil {
			return err
		}
		w.asked <- flush
		if err := s.await(ctx, "the writer waits", by(writer, writeWait, writeEnter)); err != nil {
			return err
		}
		b.asked <- lookup
		if err := s.await(ctx, "reader B comes, and leaves again", by(readerB, readExit, readWait)); err != nil {
			return err
		}
		if err := kill(); err != nil {
			return err
		}
		if err := s.await(ctx, "the writer enters", by(writer, writeEnter)); err != nil {
			return err
		}
		b.asked <- lookup
		return nil
	}()
	if !killed {
		err = errors.Join(err, stayer.kill())
	}
	for _, flushErr := range w.leave() {
		err = errors.Join(err, flushErr)
	}
	for _, lookupErr := range b.leave() {
		found = append(found, lookupErr == nil)
		if !errors.Is(lookupErr, os.ErrNotExist) {
			err = errors.Join(err, lookupErr)
		}
	}
	return found, err
}
