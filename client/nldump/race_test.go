// SPDX-License-Identifier: BSD-3-Clause

package nldump_test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"bulkdump/client/nldump"
)

const misuseEnv = "NLDUMP_TEST_MISUSE"

// TestRaceDetectorFindsUseAfterRelease runs itself as a program that reads a
// record of a page while another goroutine releases the page.
func TestRaceDetectorFindsUseAfterRelease(t *testing.T) {
	if !nldump.RaceEnabled {
		t.Skip("this needs the race detector: go test -race")
	}
	if os.Getenv(misuseEnv) != "" {
		p := onePage(t, nldump.NewPool(1))
		for m := range p.Records() {
			var reader sync.WaitGroup
			reader.Go(func() { t.Log(m.Data[0]) })
			p.Release()
			reader.Wait()
			break
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), misuseEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "DATA RACE") || !strings.Contains(string(out), "Page.Release") {
		t.Errorf("%v\n%s", err, out)
	}
}
