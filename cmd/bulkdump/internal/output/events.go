// SPDX-License-Identifier: BSD-3-Clause

package output

import (
	"strconv"

	"bulkdump/client"
	"bulkdump/cmd/internal/term"
)

// Events are the layouts of events.
var Events = Layouts[*client.Event]{
	TableHead: "          GENERATION  EVENT          ID       FLAGS                 VALUE  PAYLOAD  NAME\n",
	CSVHead:   "event,id,name,flags,value,payload,hits,bytes,created,updated,generation,deleted,count,id_start,id_stride\n",
	Table:     appendEventTable,
	JSON:      func(b []byte, e *client.Event) []byte { return term.AppendJSON(b, e) },
	CSV:       appendEventCSV,
}

func appendEventTable(b []byte, e *client.Event) []byte {
	b = append(PadUint(b, e.Generation, 20), "  "...)
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
	b = PadUint(append(b, "  "...), uint64(e.Entry.ID), 10)
	if e.Kind == client.EventDel {
		return b
	}
	b = appendFlags(append(b, "  "...), e.Entry.Flags)
	b = PadUint(append(b, "  "...), e.Entry.Value, 20)
	b = append(PadUint(append(b, "  "...), uint64(len(e.Entry.Payload)), 7), "  "...)
	return term.AppendQuoted(b, []byte(e.Entry.Name))
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
	return append(appendCSV(b, RecordOf(&e.Entry)), ",,,"...)
}
