// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"cmp"
	"context"
	"iter"
	"strconv"

	"bulkdump/client"
	"bulkdump/cmd/bulkdump/internal/output"
)

var eventLayouts = output.Layouts[*client.Event]{
	TableHead: "          GENERATION  EVENT          ID       FLAGS                 VALUE  PAYLOAD  NAME\n",
	CSVHead:   "event,id,name,flags,value,payload,hits,bytes,created,updated,generation,deleted,count,id_start,id_stride\n",
	Table:     appendEventTable,
	JSON:      func(b []byte, e *client.Event) []byte { return output.AppendJSON(b, e) },
	CSV:       appendEventCSV,
}

func appendEventTable(b []byte, e *client.Event) []byte {
	b = append(padUint(b, e.Generation, 20), "  "...)
	kind := e.Kind.String()
	b = append(b, kind...)
	for range len("EVENT") - len(kind) {
		b = append(b, ' ')
	}
	switch e.Kind {
	case client.EventFill:
		b = strconv.AppendUint(append(b, "  made "...), e.Count, 10)
		b = strconv.AppendUint(append(b, " from id "...), uint64(e.IDStart), 10)
		return append(strconv.AppendUint(append(b, ", "...), uint64(e.IDStride), 10), " apart"...)
	case client.EventFlush:
		return strconv.AppendUint(append(b, "  deleted "...), e.Count, 10)
	}
	b = padUint(append(b, "  "...), uint64(e.Entry.ID), 10)
	if e.Kind == client.EventDel {
		return b
	}
	b = appendFlags(append(b, "  "...), e.Entry.Flags)
	b = padUint(append(b, "  "...), e.Entry.Value, 20)
	b = append(padUint(append(b, "  "...), uint64(len(e.Entry.Payload)), 7), "  "...)
	return output.AppendQuoted(b, []byte(e.Entry.Name))
}

// appendEventCSV has the columns of an entry, then those of a fill or flush.
func appendEventCSV(b []byte, e *client.Event) []byte {
	b = append(append(b, e.Kind.String()...), ',')
	switch e.Kind {
	case client.EventFill, client.EventFlush:
		b = strconv.AppendUint(append(b, ",,,,,,,,,"...), e.Generation, 10)
		b = strconv.AppendUint(append(b, ",,"...), e.Count, 10)
		if e.Kind == client.EventFlush {
			return append(b, ",,"...)
		}
		b = strconv.AppendUint(append(b, ','), uint64(e.IDStart), 10)
		return strconv.AppendUint(append(b, ','), uint64(e.IDStride), 10)
	}
	return append(appendCSV(b, recordOf(&e.Entry)), ",,,"...)
}

// pending is how many events may wait between their reader and the printer.
const pending = 256

// printEvents prints events as they come, until they end or count of them were
// printed; 0 is no limit. Losses go to lost, any other error ends it. It flushes
// when no event is waiting.
func (a *app) printEvents(ctx context.Context, count uint64, events func(context.Context) iter.Seq2[client.Event, error],
	lost func(error) bool) (n uint64, err error) {
	type item struct {
		e   client.Event
		err error
	}
	ctx, stop := context.WithCancel(ctx)
	waiting := make(chan item, pending)
	go func() {
		defer close(waiting)
		for e, err := range events(ctx) {
			select {
			case waiting <- item{e, err}:
			case <-ctx.Done():
				waiting <- item{err: ctx.Err()} // the printer takes all
				return
			}
		}
	}()
	defer func() {
		stop()
		for range waiting { // until its reader has ended
		}
	}()

	p := output.NewList(a.out, eventLayouts)
	for {
		if len(waiting) == 0 {
			if err := p.Flush(); err != nil {
				return p.Len(), err
			}
		}
		i, ok := <-waiting
		switch {
		case !ok:
			return p.Len(), p.Flush()
		case i.err != nil && !lost(i.err):
			return p.Len(), cmp.Or(p.Flush(), i.err)
		case i.err != nil:
			continue
		}
		if err := p.Add(&i.e); err != nil {
			return p.Len(), err
		}
		if p.Len() == count { // never so for 0
			return p.Len(), p.Flush()
		}
	}
}
