// SPDX-License-Identifier: BSD-3-Clause

package report

import _ "embed"

// SchemaText is the JSON Schema of what JSON and JSONL write.
//
//go:embed schema.json
var SchemaText []byte
