package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestRewrite: what is read and written again is the same, in the form in which
// Perl's tool writes, and stays so.
func TestRewrite(t *testing.T) {
	for _, name := range []string{"perl", "handmade"} {
		t.Run(name, func(t *testing.T) {
			in, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join("testdata", name+".want"))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				f, err := Parse(in)
				if err != nil {
					t.Fatal(err)
				}
				if in = f.Bytes(); !bytes.Equal(in, want) {
					t.Fatalf("got\n%s\nwant\n%s", in, want)
				}
			}
		})
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, test := range []struct {
		text         string
		line, column int
		want         string
	}{
		{`[]`, 1, 1, "the file must hold an object"},
		{"\n  # c\n x", 3, 2, "the file must hold an object"},
		{`{`, 1, 2, `want a key in double quotes, have the end of the file`},
		{`{"a"`, 1, 5, `want a colon behind the key "a", have the end of the file`},
		{"{\n  \"a\" 1}", 2, 7, `want a colon behind the key "a", have '1'`},
		{`{"ä":1 "b":2}`, 1, 8, `want a comma or }, have '"'`},
		{`{"a":1,,}`, 1, 8, `want a key in double quotes, have ','`},
		{`{,}`, 1, 2, `want a key in double quotes, have ','`},
		{`{"a":[1 2]}`, 1, 9, `want a comma or ], have '2'`},
		{`{"a":}`, 1, 6, `want a value, have '}'`},
		{`{"a":tru}`, 1, 6, `want a value, have 't'`},
		{`{"a":truely}`, 1, 10, `want a comma or }, have 'l'`},
		{`{"a":01}`, 1, 6, `"01" is not a number`},
		{`{"a":1.}`, 1, 6, `"1." is not a number`},
		{`{"a":-}`, 1, 6, `"-" is not a number`},
		{`{"a":1e}`, 1, 6, `"1e" is not a number`},
		{`{"a":"x`, 1, 8, `the file ends within a string`},
		{"{\"a\":\"x\n\"}", 1, 8, `'\n' within a string; its closing quote may be missing`},
		{"{\"a\":\"x\x00\"}", 1, 8, `'\x00' within a string`},
		{`{"a":"\x"}`, 1, 8, `behind a backslash, have 'x'`},
		{`{"a":"\u12"}`, 1, 9, `four hexadecimal digits`},
		{`{"a":"\u12`, 1, 9, `four hexadecimal digits`},
		{`{"a":"\ud800"}`, 1, 7, `half of a surrogate pair`},
		{`{"a":"\ud800\u0041"}`, 1, 7, `half of a surrogate pair`},
		{`{"a":"\udc00"}`, 1, 7, `half of a surrogate pair`},
		{"{}\n{}", 2, 1, `something follows the end`},
		{"{\"\uFFFD\":\"\xff\"}", 1, 7, `this is not UTF-8`},
		{`{"a":` + strings.Repeat("[", 600), 1, 6 + maxDepth - 1, `nested too deeply`},
		{"{\"a\": {/* c */}}", 1, 8, `want a key in double quotes, have '/'`},
		{"{'a':1}", 1, 2, `want a key in double quotes, have '\''`},
	} {
		_, err := Parse([]byte(test.text))
		syntax := new(SyntaxError)
		if !errors.As(err, &syntax) {
			t.Errorf("%q: got error %v", test.text, err)
			continue
		}
		if syntax.Line != test.line || syntax.Column != test.column || !strings.Contains(syntax.Text, test.want) {
			t.Errorf("%q: got %d:%d %s, want %d:%d %s", test.text, syntax.Line, syntax.Column, syntax.Text, test.line, test.column, test.want)
		}
	}
}

// TestComments: a comment stays with what it explains when something is
// changed.
func TestComments(t *testing.T) {
	f, err := Parse([]byte(`# mine
{ # all
  # the nodes
  "seeds": [ "a:1", # first
    # second
    "b:2" # last
    , # really
  ],
  "other": 1 # other
}
# end`))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Defaults().Set("seeds", []string{"b:2", "c:3"}); err != nil {
		t.Fatal(err)
	}
	if err := f.Create("x").Set("nodeid", "y"); err != nil {
		t.Fatal(err)
	}
	const want = `# mine
{
   # all
   # the nodes
   "seeds" : [
      # second
      "b:2",  # last # really
      "c:3"
   ],
   "other" : 1,  # other
   "profile" : {
      "x" : {
         "nodeid" : "y"
      }
   }
}
# end
`
	if got := string(f.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// FuzzParse: nothing panics, what is read is what encoding/json reads, and what
// is written is read as the same.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"perl", "handmade"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(`{"a":[1,-0.5e+10,"\ud83d\ude00",null,{}],"a":2, # c` + "\n}")
	f.Add("\n#a\n{#b\n\"k\"#c\n:#d\n[#e\n1#f\n,#g\n]#h\n,}#i")
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := readDocument(text)
		if err != nil {
			if len(err.Error()) > 1000+len(text)*4 {
				t.Error("the error is longer than what it is about")
			}
			return
		}
		got := plain(doc.root)
		if json.Valid([]byte(text)) {
			d := json.NewDecoder(strings.NewReader(text))
			d.UseNumber()
			var want any
			if err := d.Decode(&want); err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, encoding/json has %v", got, want)
			}
		}
		written := doc.bytes()
		again, err := readDocument(string(written))
		if err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}
		if !reflect.DeepEqual(plain(again.root), got) {
			t.Errorf("read again: %v, was %v", plain(again.root), got)
		}
		if strings.Count(text, "#") < 1 && !json.Valid(written) {
			t.Errorf("not JSON: %s", written)
		}
		if twice := again.bytes(); !bytes.Equal(twice, written) {
			t.Errorf("written again:\n%s\nwas\n%s", twice, written)
		}
	})
}

// FuzzKeys: whatever is accepted as the value of a key can be written, read, and
// understood.
func FuzzKeys(f *testing.F) {
	for _, text := range []string{"", "on", "0", "1.5", "-1", "inf", "*:4040,[::1]:5,host", "a b", "4040", "::1%lo", "%n/%u/", "a#b", "\x00,\xff", "[::1", "1_0", "9e99"} {
		for i := range keys {
			f.Add(uint8(i), text)
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, text string) {
		key := keys[int(n)%len(keys)]
		v, err := key.Parse(text)
		if err != nil {
			if !errors.Is(err, ErrValue) {
				t.Errorf("%s %q: the error is no ErrValue: %v", key.Name, text, err)
			}
			return
		}
		file := &File{document: document{root: &object{}}}
		if err := file.Defaults().Set(key.Name, v); err != nil {
			if utf8.ValidString(text) {
				t.Errorf("%s %q: parsed, but not set: %v", key.Name, text, err)
			}
			return
		}
		again, err := Parse(file.Bytes())
		if err != nil {
			t.Fatalf("%s %q: %v", key.Name, text, err)
		}
		s, err := again.Settings("", nil)
		if err != nil {
			t.Fatalf("%s %q: set, but not understood: %v", key.Name, text, err)
		}
		if got, want := s.Values()[key.Name], plain(file.root.find(key.Name).value); !reflect.DeepEqual(got, want) {
			t.Errorf("%s %q: got %v, want %v", key.Name, text, got, want)
		}
		if _, err := Seeds(s.Seeds); err != nil && !errors.Is(err, ErrValue) {
			t.Errorf("%s %q: %v", key.Name, text, err)
		}
	})
}

// perlRewrite does what Perl programs do with the file: read it with JSON::XS,
// and write it again.
const perlRewrite = `
	use JSON::XS;
	local $/;
	my $cfg = JSON::XS->new->utf8->relaxed->decode(scalar <STDIN>);
	$cfg->{profile}{perl}{nodeid} = "from-perl";
	print JSON::XS->new->pretty->utf8->encode($cfg), "\n";
`

// TestPerl: a round trip through Perl's module keeps the meaning.
func TestPerl(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "perl", "-MJSON::XS", "-e", "1").CombinedOutput(); err != nil {
		t.Skipf("perl with JSON::XS is not installed: %v %s", err, out)
	}
	ours, err := os.ReadFile(filepath.Join("testdata", "handmade.want"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "perl", "-e", perlRewrite)
	cmd.Stdin = bytes.NewReader(ours)
	cmd.Stderr = os.Stderr
	theirs, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	before, err := Parse(ours)
	if err != nil {
		t.Fatal(err)
	}
	after, err := Parse(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := after.Profile("perl").Get("nodeid"); v != "from-perl" {
		t.Errorf("Perl's change did not arrive: %v", v)
	}
	after.Delete("perl")
	for _, f := range []*File{before, after} { // it has more digits than Perl's numbers
		f.Profile("server").Delete("x_big")
	}
	if got, want := floats(after), floats(before); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

// floats returns the content with numbers as Perl has them.
func floats(f *File) (v any) {
	text, err := f.Defaults().MarshalJSON()
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		panic(err)
	}
	return v
}
