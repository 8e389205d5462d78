package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1) }
	many := func(n int, last string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`"k` + string(rune('a'+i%26)) + strings.Repeat("x", i/26) + `":1,`)
		}
		return "{" + b.String() + `"` + last + `":1}`
	}
	tests := []struct {
		name string
		body string
		want error
	}{
		{"an empty object", " {} \n", nil},
		{"an indented object", "{\r\n\t\"a\" : [ 1 , {\"b\":null} ]\n}", nil},
		{"names that differ in case only", `{"id":1,"ID":2,"Id":3}`, nil},
		{"one name in two objects", `{"a":{"x":1},"b":{"x":1}}`, nil},
		{"nothing", "", ErrNotObject},
		{"an array", `[{"id":1}]`, ErrNotObject},
		{"a string", `"id"`, ErrNotObject},
		{"a number", `1`, ErrNotObject},
		{"a byte order mark", "\ufeff{}", ErrNotObject},
		{"two objects", `{}{}`, ErrTrailing},
		{"a word behind", `{} null`, ErrTrailing},
		{"broken UTF-8", "{\"a\":\"\xff\"}", ErrUTF8},
		{"a name twice", `{"amount":1,"b":2,"amount":3}`, ErrDuplicate},
		{"a name twice, once escaped", `{"amount":1,"\u0061mount":3}`, ErrDuplicate},
		{"a name twice in a nested object", `{"a":[{"x":1,"x":1}]}`, ErrDuplicate},
		{"a name twice after null", `{"a":null,"a":1}`, ErrDuplicate},
		{"many names", many(200, "z"), nil},
		{"a name twice among many", many(200, "ka"), ErrDuplicate},
		{"a late name twice among many", many(200, "kb"+strings.Repeat("x", 7)), ErrDuplicate},
		{"the deepest allowed", deep(MaxDepth), nil},
		{"one too deep", deep(MaxDepth + 1), ErrDepth},
		{"far too deep", strings.Repeat(`{"a":`, 1_000_000), ErrDepth},
		{"far too deep arrays", `{"a":` + strings.Repeat(`[`, 1_000_000), ErrDepth},
		{"a comma too many", `{"a":1,}`, ErrSyntax},
		{"a comma too many in an array", `{"a":[1,]}`, ErrSyntax},
		{"a name without quotes", `{a:1}`, ErrSyntax},
		{"a missing colon", `{"a" 1}`, ErrSyntax},
		{"an open string", `{"a":"b`, ErrSyntax},
		{"a bare newline in a string", "{\"a\":\"\n\"}", ErrSyntax},
		{"a wrong escape", `{"a":"\x41"}`, ErrSyntax},
		{"a leading zero", `{"a":01}`, ErrSyntax},
		{"a leading plus", `{"a":+1}`, ErrSyntax},
		{"a bare point", `{"a":1.}`, ErrSyntax},
		{"an empty exponent", `{"a":1e}`, ErrSyntax},
		{"NaN", `{"a":NaN}`, ErrSyntax},
		{"a word in capitals", `{"a":TRUE}`, ErrSyntax},
		{"a comment", `{/**/}`, ErrSyntax},
		{"a zero byte", "{\"a\":\x00}", ErrSyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse([]byte(tt.body)); !errors.Is(err, tt.want) {
				t.Errorf("Parse: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestValueKeepsEveryDigit(t *testing.T) {
	v, err := Parse([]byte(`{"id":976318377106520349,"text":"820982911946154508","price":0.10,"exp":1e3,"esc":"a\u00e9\n","on":true,"off":false,"none":null}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"id", v.Get("id").ID(), "976318377106520349"},
		{"id as text", v.Get("text").ID(), "820982911946154508"},
		{"price", v.Get("price").Literal(), "0.10"},
		{"a fraction is no id", v.Get("price").ID(), ""},
		{"an exponent is no id", v.Get("exp").ID(), ""},
		{"escapes", v.Get("esc").Text(), "aé\n"},
		{"other case", v.Get("ID").ID(), ""},
		{"a number is no text", v.Get("id").Text(), ""},
		{"a truth value has no literal", v.Get("on").Literal(), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
	if !v.Get("on").True() || v.Get("off").True() || v.Has("none") || !v.Has("off") {
		t.Error("truth values or null read wrongly")
	}
}

func TestPlaceNamesTheFirstProblem(t *testing.T) {
	tests := []struct {
		name string
		read func(Place)
		want string
	}{
		{"nothing", func(p Place) { p.Get("lines").Each()[0].Get("price").Amount("EUR") }, ""},
		{"an exponent", func(p Place) { p.Get("lines").Each()[1].Get("price").Amount("EUR") }, "lines[1].price is not a plain decimal amount"},
		{"a missing amount", func(p Place) { p.Get("total").Amount("EUR") }, "total is missing"},
		{"an amount that need not be", func(p Place) { p.Get("total").OptionalAmount("EUR") }, ""},
		{"an unknown currency", func(p Place) { p.Get("name").Currency() }, "name is not a known currency"},
		{"no array", func(p Place) { p.Get("name").Each() }, "name is not an array"},
		{"no object", func(p Place) { p.Get("name").Get("first").Text() }, "name is not an object"},
		{"no text", func(p Place) { p.Get("lines").Text() }, "lines is not text"},
		{"no truth value", func(p Place) { p.Get("name").Flag() }, "name is not a truth value"},
		{"no whole number", func(p Place) { p.Get("half").Int() }, "half is not a whole number"},
		{"no id", func(p Place) { p.Get("half").ID() }, "half is neither text nor a whole number"},
		{"a broken time is none", func(p Place) { p.Get("at").Time() }, ""},
		{"the first of two", func(p Place) { p.Get("a").Int(); p.Get("b").Int() }, "a is missing"},
	}
	v, err := Parse([]byte(`{"name":"private","half":0.5,"at":"2018-19-12T22:20:32.000Z","lines":[{"price":"1.00"},{"price":1e3}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := At(v)
			tt.read(p)
			if p.Problem() != tt.want {
				t.Errorf("problem %q, want %q", p.Problem(), tt.want)
			}
			if strings.Contains(p.Problem(), "private") {
				t.Error("the problem quotes the body")
			}
		})
	}
}

func TestPlaceTimeKeepsItsOffset(t *testing.T) {
	v, err := Parse([]byte(`{"at":"2025-01-23T22:09:39-05:00","not":"2018-19-12T22:20:32.000Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	at := At(v).Get("at").Time()
	if _, offset := at.Zone(); offset != -5*3600 || !at.Equal(time.Date(2025, 1, 24, 3, 9, 39, 0, time.UTC)) {
		t.Errorf("got %v", at)
	}
	if !At(v).Get("not").Time().IsZero() {
		t.Error("an impossible date became a time")
	}
}

// Everything Parse takes must be JSON to the standard library too, and what it
// refuses must either not be JSON or break one of the further rules.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":[1,-0.5e+10,true,false,null,"\u00e9\""]}`, `{"a":1,"a":2}`, `[]`, `{"a":}`, "{\"a\":\"\xff\"}",
		`{"a":"\ud800"}`, `{"a":{"b":{"c":[[[]]]}}}`, `{"a":1}x`, `{"a":-}`, `{"a":00}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := Parse(body)
		valid := json.Valid(body)
		switch {
		case err == nil && !valid:
			t.Fatal("taken, but it is not JSON")
		case errors.Is(err, ErrSyntax) && valid:
			t.Fatal("refused as syntax, but it is JSON")
		case errors.Is(err, ErrTrailing) && valid:
			t.Fatal("refused as followed by something, but it is one JSON value")
		case err == nil:
			var names map[string]any
			if json.Unmarshal(body, &names) != nil || len(names) != len(v.members) {
				t.Fatal("other names than the standard library sees")
			}
		}
	})
}

func TestPlainID(t *testing.T) {
	for id, want := range map[string]bool{
		"evt_1": true, "WH-2WR32451HC0233532-67976317FL4543714": true, strings.Repeat("x", 255): true,
		"": false, "a b": false, "a\nb": false, "é": false, "\x7f": false, strings.Repeat("x", 256): false,
	} {
		if got := PlainID(id); got != want {
			t.Errorf("PlainID(%q) = %v, want %v", id, got, want)
		}
	}
}
