package command

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestBench(t *testing.T) {
	a := startNode(t, "a")
	got := runTool(t, toolFor(t, a), "bench", "--duration", "200ms", "--window", "10", "a")
	want := regexp.MustCompile(`^a: [1-9]\d* messages/s there and back, \d+\.\d MB/s each way; time 50% [\d.]+ ms, 99% [\d.]+ ms \(\d+ messages of 100 bytes, 10 at once, in 0\.2 s\)\n$`)
	if got.code != ExitOK || !want.MatchString(got.out) {
		t.Errorf("got %+v", got)
	}
	got = runTool(t, toolFor(t, a), "--json", "bench", "--duration", "50ms", "--window", "1", "--size", "0", "a")
	var v struct {
		Messages, Window int
		P50              float64 `json:"p50_ms"`
		P99              float64 `json:"p99_ms"`
	}
	if err := json.Unmarshal([]byte(got.out), &v); err != nil || v.Messages == 0 || v.Window != 1 || v.P50 <= 0 || v.P99 < v.P50 {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := runTool(t, toolFor(t, a), "bench", "--window", "0", "a"); got.code != ExitUsage {
		t.Errorf("got %+v", got)
	}
}

func TestTop(t *testing.T) {
	a := startNode(t, "a")
	b := startNode(t, "b", a.address)
	if err := serveStats(b.Registry); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are known", func() bool {
		content, err := a.Family(t.Context(), familyAddresses)
		return err == nil && len(content) == 2
	})
	got := runTool(t, toolFor(t, a), "top", "--count", "2", "--interval", "10ms")
	want := regexp.MustCompile(`^( +UP  PORTS  LINKS +MEMORY +IN/S +OUT/S +PENDING  MONITORS +RTT MS  NODE
 +\d+\.\d{3}  a
 +0s +\d+ +2 +\d+\.\dM +\d+ +\d+ +\d+ +\d+ +\d+\.\d{3}  b
){2}$`)
	if got.code != ExitOK || !want.MatchString(got.out) {
		t.Errorf("got %+v", got)
	}
	eventually(t, "the tool is gone", func() bool { return len(b.Node().Nodes()) == 1 })
	got = runTool(t, toolFor(t, a), "--json", "top", "--count", "1", "b")
	var l look
	if err := json.Unmarshal([]byte(got.out), &l); err != nil || l.Node != "b" || l.Stats == nil || len(l.Stats.Links) != 2 || l.Stats.Links[0].Node != "a" {
		t.Errorf("got %+v, %v", got, err)
	}
	out, _, stop := startTool(t, toolFor(t, a), "top", "--interval", "5ms", "b", "a")
	out.wait(t, `(?s)NODE.*NODE.*NODE`)
	if code := stop(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestRates(t *testing.T) {
	now := time.Now()
	stats := func(in, out int64) *nodeStats {
		return &nodeStats{Links: []linkStatsJSON{{Node: "x", MessagesReceived: in, MessagesSent: out}}}
	}
	before := look{Stats: stats(100, 10), at: now}
	after := look{Stats: stats(300, 20), at: now.Add(2 * time.Second)}
	after.rates(before)
	if after.In != 100 || after.Out != 5 {
		t.Errorf("got %v, %v", after.In, after.Out)
	}
	again := look{Stats: stats(50, 2), at: now.Add(2 * time.Second)} // a new connection
	again.rates(before)
	if again.In != 25 || again.Out != 1 {
		t.Errorf("got %v, %v", again.In, again.Out)
	}
}

func TestStatsTravel(t *testing.T) {
	a := startNode(t, "a")
	s := statistics(a.Registry, time.Now().Add(-time.Minute))
	s.Links = append(s.Links, linkStatsJSON{"x", 1, 2, 3, 4, 5, 6})
	got, err := parseStats(s.message())
	if err != nil || got.Node != "a" || got.Links[0] != s.Links[0] || got.Uptime < 60 {
		t.Errorf("got %+v, %v", got, err)
	}
	for i := range s.message() {
		if _, err := parseStats(s.message()[:i]); err == nil && i < 7 {
			t.Errorf("%d elements are enough", i)
		}
	}
	if got := bytesText(999) + " " + bytesText(1000) + " " + bytesText(12_345_678) + " " + bytesText(5e15); got != "999 1.0k 12.3M 5000.0T" {
		t.Error(got)
	}
	var page strings.Builder
	s.writeMetrics(&page)
	if !strings.Contains(page.String(), `portmesh_bytes_received_total{node="a",peer="x"} 4`) {
		t.Error(page.String())
	}
}
