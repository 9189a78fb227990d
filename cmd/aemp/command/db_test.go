package command

import (
	"strings"
	"testing"
)

func TestDB(t *testing.T) {
	a := startNode(t, "a")
	b := startNode(t, "b", a.address)
	if err := serveDatabase(b.Registry); err != nil {
		t.Fatal(err)
	}
	set := func(key string, value any) {
		t.Helper()
		if _, err := b.Set("fruit", key, value); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a knows "+key, func() bool {
			content, err := a.Family(t.Context(), "fruit")
			return err == nil && holds(key, value)(content)
		})
	}
	set("apple", int64(1))
	set("plum", []any{"x", nil})
	watch, _, stop := startTool(t, toolFor(t, a), "db", "watch", "fruit")
	watch.wait(t, `^\+ apple 1\n\+ plum \["x",null\]\n$`)

	for _, test := range []struct {
		args []string
		want result
	}{
		{[]string{"db", "get", "fruit"}, result{ExitOK, "apple 1\nplum [\"x\",null]\n", ""}},
		{[]string{"--json", "db", "get", "fruit"}, result{ExitOK, `{"apple":1,"plum":["x",null]}` + "\n", ""}},
		{[]string{"db", "get", "fruit", "plum"}, result{ExitOK, `["x",null]` + "\n", ""}},
		{[]string{"db", "get", "fruit", "pear"}, result{ExitFailed, "", "family fruit has no key \"pear\"\n"}},
		{[]string{"db", "get", "nothing"}, result{ExitOK, "", ""}},
		{[]string{"db", "get", "1st"}, result{ExitUsage, "", "want a letter, then letters, digits, _ and :\n"}},
		{[]string{"db", "families"}, result{ExitOK, "fruit\n", ""}},
		{[]string{"--json", "db", "families"}, result{ExitOK, `["fruit"]` + "\n", ""}},
		{[]string{"db", "keys", "fruit"}, result{ExitOK, "apple\nplum\n", ""}},
		{[]string{"--json", "db", "keys", "fruit"}, result{ExitOK, `["apple","plum"]` + "\n", ""}},
		{[]string{"db", "set", "fruit", "pear", "3"}, result{ExitFailed, "", "node a does not let others change its entries; name another with --on, or use db set --hold\n"}},
		{[]string{"db", "set", "--on", "b", "fruit", "pear", `{"n":[3]}`}, result{ExitOK, "", ""}},
		{[]string{"db", "get", "fruit", "pear"}, result{ExitOK, `{"n":[3]}` + "\n", ""}},
		{[]string{"--json", "db", "set", "--on", "b", "fruit", "pear", "4"}, result{ExitOK, `{"family":"fruit","key":"pear","node":"b"}` + "\n", ""}},
		{[]string{"db", "get", "fruit", "pear"}, result{ExitOK, `"4"` + "\n", ""}},
		{[]string{"db", "del", "--on", "b", "fruit", "pear"}, result{ExitOK, "", ""}},
		{[]string{"db", "keys", "fruit"}, result{ExitOK, "apple\nplum\n", ""}},
		{[]string{"db", "set", "--on", "x;y", "fruit", "pear"}, result{ExitUsage, "", "contains ';'\n"}},
	} {
		got := runTool(t, toolFor(t, a), test.args...)
		if got.code != test.want.code || got.out != test.want.out || !strings.HasSuffix(got.errors, test.want.errors) {
			t.Errorf("%q: got %+v, want %+v", test.args, got, test.want)
		}
	}
	watch.wait(t, `\n\+ pear \{"n":\[3\]\}\n~ pear "4"\n- pear\n$`)
	if code := stop(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}

	hold, _, stop := startTool(t, toolFor(t, a), "db", "set", "--hold", "fruit", "kiwi")
	hold.wait(t, "held until interrupted")
	if got := runTool(t, toolFor(t, a), "db", "get", "fruit", "kiwi"); got.out != "null\n" {
		t.Errorf("got %+v", got)
	}
	if code := stop(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	eventually(t, "kiwi is gone", func() bool {
		content, err := a.Family(t.Context(), "fruit")
		return err == nil && content["kiwi"] == nil && len(content) == 2
	})
	// What another node holds cannot be deleted by telling this one.
	if err := serveDatabase(a.Registry); err != nil {
		t.Fatal(err)
	}
	if got := runTool(t, toolFor(t, a), "--timeout", "1s", "db", "del", "fruit", "apple"); got.code != ExitFailed || !strings.Contains(got.errors, "another node than a holds it") {
		t.Errorf("got %+v", got)
	}
}
