// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"bulkdump/client/internal/script"
	"bulkdump/client/nldump"
)

// way is how a conversation is read.
type way int

const (
	byRecord way = iota
	byLentPage
	byPooledPage // each page is held until the next one has come
	ways
)

func (w way) String() string {
	return [...]string{"by record", "by lent page", "by page of a pool"}[w]
}

// A reading is a stream that has a conversation.
type reading struct {
	*exchange
	way  way
	pool *nldump.Pool
	out  outcome
	bug  string // what no model is needed to know

	held  nldump.Page
	bytes []byte // of its records
	again []byte // and as they are later
}

// read has a conversation in one way, and returns what each operation gave. What it
// should give says how much room that needs.
func (v *conversation) read(w way, want []outcome) (all []outcome, reads int, bug string) {
	r := &reading{exchange: &exchange{c: v, left: v.sockets}, way: w}
	cfg := v.cfg
	if w == byPooledPage {
		r.pool = nldump.NewPool(2)
		r.pool.Poison = true
		cfg.Pool = r.pool
		if v.shared {
			r.bug = enlarge(r.pool, 2*max(cfg.BufferSize, cfg.MaxBufferSize))
		}
	}
	sock, err := r.dial()
	if err != nil {
		return nil, 0, err.Error()
	}
	if v.dials {
		r.stream, err = nldump.DialWith(func() (nldump.Socket, error) {
			if first := sock; first != nil {
				sock = nil
				return first, nil
			}
			return r.dial()
		}, cfg)
	} else {
		r.stream, err = nldump.New(sock, cfg)
	}
	if err != nil {
		return nil, 0, err.Error()
	}
	defer r.stream.Close()
	for i, o := range v.operations {
		r.out = outcome{records: make([]byte, 0, len(want[i].records))}
		all = append(all, r.operate(o))
	}
	if r.pool != nil && r.pool.Held() != 0 {
		r.bug = fmt.Sprintf("%d pages are held", r.pool.Held())
	}
	return all, r.reads, r.bug
}

// enlarge reads two pages of a pool with buffers of that size.
func enlarge(pool *nldump.Pool, size int) (bug string) {
	s, err := nldump.New(script.New(script.Page(rec(0, 1)), script.Page(rec(0, 2), done())),
		nldump.Config{BufferSize: max(size, nldump.MinBufferSize), Pool: pool})
	if err != nil {
		return err.Error()
	}
	defer s.Close()
	for p, err := range s.Pages(context.Background(), nldump.Dump{}) {
		if err != nil {
			bug = err.Error()
		}
		p.Release()
	}
	return bug
}

// operate does one operation.
func (r *reading) operate(o operation) outcome {
	r.sent, r.answers = nil, o.answers
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.cancel = cancel
	if o.over {
		cancel()
	}
	if o.dump.Foreign != nil {
		o.dump.Foreign = r.foreign
	}
	r.out.fault = faultOf(r.loop(ctx, o))
	r.letGo()
	for _, m := range r.sent {
		r.out.sent = notes(r.out.sent, m)
	}
	r.out.states = append(r.out.states, state{r.stream.Stats(), r.stream.Idle(), fault{}})
	drain, cancelDrain := context.WithCancel(context.Background())
	defer cancelDrain()
	r.cancel = cancelDrain
	if o.undrain {
		cancelDrain()
	}
	for range o.drain {
		err := r.stream.Drain(drain)
		r.out.states = append(r.out.states, state{r.stream.Stats(), r.stream.Idle(), faultOf(err)})
	}
	return r.out
}

// foreign is Dump.Foreign.
func (r *reading) foreign(d nldump.Datagram, b []byte) {
	if r.stream.Idle() {
		r.bug = "idle in Foreign"
	}
	r.out.foreign = fmt.Appendf(r.out.foreign, "%v %x;", d, b)
}

// loop is the loop of an operation. A panic of its body ends here.
func (r *reading) loop(ctx context.Context, o operation) (err error) {
	if o.leave == leavePanic {
		defer func() {
			if p := recover(); p == errBody {
				r.out.panicked = true
			} else if p != nil {
				panic(p)
			}
		}()
	}
	switch {
	case o.retry > 0:
		return r.retry(ctx, o)
	case r.way == byRecord:
		return r.byRecord(ctx, o)
	}
	return r.byPage(ctx, o)
}

// errBody is the panic of a loop's body.
var errBody = errors.New("in the loop")

// body does what the body of a loop does, and tells whether it leaves the loop.
func (r *reading) body(o operation) (leave bool) {
	switch o.leave {
	case leaveBreak:
		return true
	case leaveCancel:
		r.cancel()
	case leaveClose:
		_ = r.stream.Close()
	case leavePanic:
		panic(errBody)
	}
	return false
}

func (r *reading) byRecord(ctx context.Context, o operation) error {
	n := 0
	records := r.stream.Dump(ctx, o.dump)
	if o.short && o.dump.Do {
		records = r.stream.Do(ctx, o.dump.Request)
	} else if o.short {
		records = r.stream.Records(ctx, o.dump.Request)
	}
	var last error
	for m, err := range records {
		if last != nil {
			r.bug = "something came after an error"
		}
		if last = err; err != nil {
			continue
		}
		r.out.records = add(r.out.records, m)
		if n++; n == 1 {
			r.busy(ctx)
		}
		if n == o.at && r.body(o) {
			break
		}
	}
	return last
}

func (r *reading) byPage(ctx context.Context, o operation) error {
	n := 0
	var last error
	for p, err := range r.stream.Pages(ctx, o.dump) {
		if last != nil {
			r.bug = "something came after an error"
		}
		if last = err; err != nil {
			if p.Len() != 0 || len(p.Messages()) != 0 {
				r.bug = "an error with records"
			}
			p.Release() // nothing
			continue
		}
		if n == 0 {
			r.busy(ctx)
		}
		before := len(r.out.records)
		r.out.records = r.records(r.out.records, p)
		r.out.pages = append(r.out.pages, p.Len())
		r.hold(p, r.out.records[before:])
		reached := n < o.at && o.at <= n+p.Len()
		if n += p.Len(); reached && r.body(o) {
			break
		}
	}
	return last
}

// records adds the records of a page, which must be as many as it says.
func (r *reading) records(log []byte, p nldump.Page) []byte {
	n := 0
	if r.way == byLentPage {
		for m := range p.Records() {
			log = add(log, m)
			n++
		}
	} else {
		for ms := p.Messages(); len(ms) > 0; ms = ms.Next() {
			m := ms.Message()
			if ms.Type() != m.Type || !bytes.Equal(ms.Data(), m.Data) || len(ms.Bytes()) != len(m.Data)+16 {
				r.bug = "Messages is not as its Message"
			}
			log = add(log, m)
			n++
		}
	}
	if n != p.Len() {
		r.bug = fmt.Sprintf("a page of %d records says %d", n, p.Len())
	}
	return log
}

// hold keeps a page of a pool until the next one has come, and releases the one
// before, which must be as it was.
func (r *reading) hold(p nldump.Page, records []byte) {
	if r.pool == nil {
		return
	}
	r.letGo()
	r.held, r.bytes = p, append(r.bytes[:0], records...)
}

func (r *reading) letGo() {
	if len(r.bytes) == 0 {
		return
	}
	if r.again = r.records(r.again[:0], r.held); !bytes.Equal(r.again, r.bytes) {
		r.bug = "a page that was held has changed"
	}
	r.held.Release()
	r.bytes = r.bytes[:0]
}

// busy checks that the stream takes nothing else while a loop runs.
func (r *reading) busy(ctx context.Context) {
	var errs []error
	for _, err := range r.stream.Do(ctx, nldump.Message{Type: script.Type}) {
		errs = append(errs, err)
	}
	if errs = append(errs, r.stream.Drain(ctx)); len(errs) != 2 || !errors.Is(errs[0], nldump.ErrBusy) || !errors.Is(errs[1], nldump.ErrBusy) {
		r.bug = fmt.Sprintf("in the loop: %v", errs)
	}
	if r.stream.Idle() {
		r.bug = "idle in the loop"
	}
}

func (r *reading) retry(ctx context.Context, o operation) error {
	n := 0
	return r.stream.Retry(ctx, o.dump, o.retry, func(attempt int) {
		r.out.records = append(r.out.records, byte(attempt))
	}, func(m nldump.Message) error {
		r.out.records = add(r.out.records, m)
		if n++; n != o.at {
			return nil
		}
		switch o.leave {
		case leaveNot:
		case leaveCancel:
			r.cancel()
		default:
			return errReader
		}
		return nil
	})
}

// add notes a record.
func add(log []byte, m nldump.Message) []byte {
	return received{m.Type, m.Flags, m.Seq, m.PortID, m.Data}.add(log)
}
