// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	datagrams = flag.Int("datagrams", 20_000, "how many datagrams TestConversations has read")
	firstOf   = flag.Uint64("conversation", 0, "the number of its first conversation; the others follow")
)

// check has a conversation in each way, and says what is not as the model has it.
// It returns what it gave by record, and how many datagrams were read.
func (v *conversation) check() (all []outcome, reads int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	records, pages := v.want(false), v.want(true)
	for w := range ways {
		want := pages
		if w == byRecord {
			want = records
		}
		got, n, bug := v.read(w, want)
		if bug != "" {
			return nil, 0, fmt.Errorf("%v: %s", w, bug)
		}
		reads = n
		for i := range want {
			if diff := got[i].differs(want[i]); diff != "" {
				return nil, 0, fmt.Errorf("%v, operation %d: %s", w, i, diff)
			}
		}
	}
	return records, reads, nil
}

// FuzzConversation has a conversation that the bytes decide.
func FuzzConversation(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		v := converse(fromBytes(b))
		if _, _, err := v.check(); err != nil {
			t.Fatalf("%v\n%v", err, v)
		}
	})
}

// TestConversations has conversations that numbers decide. Each datagram counts
// once, though it is read in each way. make fuzz-reader does this with many.
func TestConversations(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // all that is kept is small
	f := &figures{next: *firstOf, start: time.Now(), errors: make(map[string]int), corpus: make(corpus)}
	stop := f.report(t)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for {
				n, more := f.take()
				if !more {
					return
				}
				c := fromSeed(n)
				v := converse(c)
				all, reads, err := v.check()
				if err != nil {
					t.Errorf("-conversation %d: %v\n%v", n, err, v)
				}
				f.add(all, reads, err != nil)
				if *corpusDir != "" {
					f.keep(c.used, all)
				}
			}
		})
	}
	group.Wait()
	stop()
	t.Log(f)
	if *corpusDir != "" {
		f.corpus.write(t, *corpusDir)
	}
}

// figures are what conversations gave.
type figures struct {
	mu                       sync.Mutex
	start                    time.Time
	next                     uint64
	conversations, datagrams int
	operations, records      int
	errors                   map[string]int
	failed                   int
	corpus                   corpus
}

// take returns the number of the next conversation, if there is to be one.
func (f *figures) take() (n uint64, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n = f.next
	f.next++
	return n, f.datagrams < *datagrams && f.failed < 3
}

// add adds what one conversation gave.
func (f *figures) add(all []outcome, reads int, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conversations++
	f.datagrams += reads
	f.operations += len(all)
	for _, o := range all {
		f.records += int(o.states[0].stats.Records)
		o.fault.tally(f.errors)
	}
	if failed {
		f.failed++
	}
}

// keep keeps a conversation for the corpus.
func (f *figures) keep(choices []byte, all []outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.corpus.keep(choices, all)
}

// report logs the figures now and then, until it is stopped.
func (f *figures) report(t *testing.T) (stop func()) {
	end := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(30 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				f.mu.Lock()
				t.Logf("%v: %d conversations, %d datagrams", time.Since(f.start).Round(time.Second), f.conversations, f.datagrams)
				f.mu.Unlock()
			case <-end:
				return
			}
		}
	})
	return func() {
		close(end)
		group.Wait()
	}
}

func (f *figures) String() string {
	var errs []string
	for _, name := range slices.Sorted(maps.Keys(f.errors)) {
		errs = append(errs, fmt.Sprintf("%s %d", name, f.errors[name]))
	}
	return fmt.Sprintf("%d conversations, %d operations, %d datagrams, %d records; how the operations ended: %s",
		f.conversations, f.operations, f.datagrams, f.records, strings.Join(errs, ", "))
}
