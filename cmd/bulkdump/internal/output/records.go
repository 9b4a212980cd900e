// SPDX-License-Identifier: BSD-3-Clause

package output

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"bulkdump/client"
	"bulkdump/cmd/internal/term"
)

// Records are the layouts of records.
var Records = Layouts[*client.Record]{
	TableHead: "        ID       FLAGS                 VALUE  PAYLOAD      HITS            GENERATION  NAME\n",
	CSVHead:   "id,name,flags,value,payload,hits,bytes,created,updated,generation,deleted\n",
	Table:     appendTable,
	JSON:      appendJSON,
	CSV:       appendCSV,
}

// RecordOf returns the record of an entry.
func RecordOf(e *client.Entry) *client.Record {
	return &client.Record{ID: e.ID, Name: []byte(e.Name), Flags: e.Flags, Value: e.Value, Payload: e.Payload,
		Stats: e.Stats, Generation: e.Generation, Deleted: e.Deleted}
}

// appendTable has the name last because its length varies.
func appendTable(b []byte, r *client.Record) []byte {
	b = PadUint(b, uint64(r.ID), 10)
	if r.Deleted {
		b = append(b, "           -                     -        -         -  "...)
		return append(PadUint(b, r.Generation, 20), "  (deleted)"...)
	}
	b = appendFlags(append(b, "  "...), r.Flags)
	b = append(PadUint(append(b, "  "...), r.Value, 20), "  "...)
	b = append(PadUint(b, uint64(len(r.Payload)), 7), "  "...)
	b = append(PadUint(b, r.Stats.Hits, 8), "  "...)
	b = append(PadUint(b, r.Generation, 20), "  "...)
	return term.AppendQuoted(b, r.Name)
}

func appendFlags(b []byte, flags uint32) []byte {
	b = append(b, "0x"...)
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[flags>>shift&0xf])
	}
	return b
}

// PadUint appends v, right-aligned in the width.
func PadUint(b []byte, v uint64, width int) []byte {
	var digits [20]byte
	d := strconv.AppendUint(digits[:0], v, 10)
	for range width - len(d) {
		b = append(b, ' ')
	}
	return append(b, d...)
}

// appendJSON appends what encoding/json makes of a client.Entry, with everything
// escaped that is not printable.
func appendJSON(b []byte, r *client.Record) []byte {
	b = strconv.AppendUint(append(b, `{"id":`...), uint64(r.ID), 10)
	b = appendJSONString(append(b, `,"name":`...), r.Name)
	b = strconv.AppendUint(append(b, `,"flags":`...), uint64(r.Flags), 10)
	b = strconv.AppendUint(append(b, `,"value":`...), r.Value, 10)
	if len(r.Payload) > 0 {
		b = base64.StdEncoding.AppendEncode(append(b, `,"payload":"`...), r.Payload)
		b = append(b, '"')
	}
	b = strconv.AppendUint(append(b, `,"stats":{"hits":`...), r.Stats.Hits, 10)
	b = strconv.AppendUint(append(b, `,"bytes":`...), r.Stats.Bytes, 10)
	b = appendJSONTime(b, `,"created":"`, r.Stats.Created)
	b = appendJSONTime(b, `,"updated":"`, r.Stats.Updated)
	b = strconv.AppendUint(append(b, `},"generation":`...), r.Generation, 10)
	if r.Deleted {
		b = append(b, `,"deleted":true`...)
	}
	return append(b, '}')
}

func appendJSONTime(b []byte, key string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return append(t.AppendFormat(append(b, key...), time.RFC3339Nano), '"')
}

func appendJSONString(b, text []byte) []byte {
	if term.IsPlain(text) {
		b = append(append(b, '"'), text...)
		return append(b, '"')
	}
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	if err := e.Encode(string(text)); err != nil {
		panic(err) // a string and a buffer: neither fails
	}
	return term.AppendVisibleJSON(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n")))
}

// appendCSV appends the payload in hex.
func appendCSV(b []byte, r *client.Record) []byte {
	b = append(strconv.AppendUint(b, uint64(r.ID), 10), ',')
	b = append(appendCSVText(b, r.Name), ',')
	b = append(strconv.AppendUint(b, uint64(r.Flags), 10), ',')
	b = append(strconv.AppendUint(b, r.Value, 10), ',')
	b = append(hex.AppendEncode(b, r.Payload), ',')
	b = append(strconv.AppendUint(b, r.Stats.Hits, 10), ',')
	b = append(strconv.AppendUint(b, r.Stats.Bytes, 10), ',')
	b = append(AppendTime(b, r.Stats.Created), ',')
	b = append(AppendTime(b, r.Stats.Updated), ',')
	b = append(strconv.AppendUint(b, r.Generation, 10), ',')
	return strconv.AppendBool(b, r.Deleted)
}

func AppendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return t.AppendFormat(b, time.RFC3339Nano)
}

func appendCSVText(b, text []byte) []byte {
	if term.IsPlain(text) {
		return append(b, text...)
	}
	b = append(b, '"')
	for _, c := range text {
		if c == '"' {
			b = append(b, '"')
		}
		b = append(b, c)
	}
	return append(b, '"')
}
