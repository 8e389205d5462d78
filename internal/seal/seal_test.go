package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/ledgerhook/ledgerhook/internal/seal"
)

func spec(id string, fill byte) string {
	raw := bytes.Repeat([]byte{fill}, 32)
	raw[0] ^= 0xff
	return id + ":" + base64.StdEncoding.EncodeToString(raw)
}

func ring(t *testing.T, text string) *seal.Ring {
	t.Helper()
	r, err := seal.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatWasSealedOpensWithAnyRingThatHasTheKey(t *testing.T) {
	before, after := ring(t, spec("a", 1)), ring(t, spec("b", 2)+", "+spec("a", 1))
	for _, plain := range []string{"", "x", strings.Repeat("order ", 1000)} {
		sealed := before.Seal("ev_1/body", []byte(plain))
		if len(plain) > 8 && bytes.Contains(sealed, []byte(plain)) { // a shorter text may stand there by chance
			t.Errorf("the plain text shows")
		}
		for _, r := range []*seal.Ring{before, after} {
			if got, err := r.Open("ev_1/body", sealed); err != nil || got == nil || string(got) != plain {
				t.Errorf("got %q, %v, want %q", got, err, plain)
			}
		}
		if !bytes.HasPrefix(sealed, before.Prefix()) || bytes.HasPrefix(sealed, after.Prefix()) {
			t.Error("the prefix does not tell who sealed it")
		}
	}
}

func TestTwoSealsOfOneTextDiffer(t *testing.T) {
	r := ring(t, spec("a", 1))
	if bytes.Equal(r.Seal("p", []byte("text")), r.Seal("p", []byte("text"))) {
		t.Error("a nonce came twice")
	}
}

func TestOpenRefuses(t *testing.T) {
	r := ring(t, spec("a", 1))
	sealed := r.Seal("ev_1/body", []byte("text"))
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	tests := []struct {
		name   string
		ring   *seal.Ring
		place  string
		sealed []byte
		want   error
	}{
		{"without keys", nil, "ev_1/body", sealed, seal.ErrNoKey},
		{"without the key", ring(t, spec("b", 1)), "ev_1/body", sealed, seal.ErrNoKey},
		{"another key of the same id", ring(t, spec("a", 2)), "ev_1/body", sealed, seal.ErrDamaged},
		{"moved to another event", r, "ev_2/body", sealed, seal.ErrDamaged},
		{"moved to another place of the event", r, "ev_1/header", sealed, seal.ErrDamaged},
		{"a flipped bit", r, "ev_1/body", flipped, seal.ErrDamaged},
		{"cut short", r, "ev_1/body", sealed[:8], seal.ErrDamaged},
		{"cut within the id", r, "ev_1/body", []byte{1, 9, 'a'}, seal.ErrDamaged},
		{"an id that is none", r, "ev_1/body", []byte{1, 1, '\n', 0}, seal.ErrDamaged},
		{"plain text", r, "ev_1/body", []byte(`{"id":1}`), seal.ErrDamaged},
		{"nothing", r, "ev_1/body", nil, seal.ErrDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.ring.Open(tt.place, tt.sealed); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestParseNamesThePlaceAndNotTheKey(t *testing.T) {
	const canary = "Y2FuYXJ5"
	for _, tt := range []struct{ name, text, want string }{
		{"no id", canary, "key 1: write it like"},
		{"an id with a slash", "a/b:" + canary, "key 1: write it like"},
		{"short", spec("a", 1) + ",b:" + canary, "key 2: not 32 bytes"},
		{"no base64", "a:" + canary + "!", "key 1: not 32 bytes"},
		{"twice", spec("a", 1) + "," + spec("a", 2), "key 2: its id stands in the list twice"},
		{"zeros", "a:" + base64.StdEncoding.EncodeToString(make([]byte, 32)), "key 1: all its bytes are the same"},
		{"a stray comma", spec("a", 1) + ",", "key 2: write it like"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := seal.Parse(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("got %v, want %q without the key", err, tt.want)
			}
		})
	}
	if r, err := seal.Parse(" "); r.Seals() || err != nil {
		t.Errorf("nothing configured: got %v, %v", r, err)
	}
}

func FuzzOpen(f *testing.F) {
	r, err := seal.Parse(spec("a", 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Seal("p", []byte("text")))
	f.Add([]byte{1, 1, 'a'})
	f.Fuzz(func(t *testing.T, raw []byte) { _, _ = r.Open("q", raw) })
}
