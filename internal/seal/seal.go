// Package seal encrypts what lies on disk: AES-256-GCM with named keys, so
// that a key can be replaced while what the older ones sealed stays readable.
// It knows bytes and keys, not what they mean or where they are kept.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A sealed text is: one byte form, one byte length of the key's id, the id,
// the nonce, the ciphertext with its tag.
const (
	form     = 1
	keyBytes = 32
)

var (
	// ErrNoKey is the answer to a text whose key the ring has not.
	ErrNoKey = errors.New("its key is not configured")
	// ErrDamaged is the answer to a text that was changed, moved to another
	// place, or sealed with another key of the same name.
	ErrDamaged = errors.New("it does not fit its key: damaged, or the key was replaced under the same id")

	keyID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,32}$`)
)

type key struct {
	id   string
	aead cipher.AEAD
}

// Ring is a set of keys: the first seals, all of them open. A nil Ring has no
// keys. It is safe for concurrent use.
type Ring struct{ keys []key }

// Parse reads a ring from "id:base64 of 32 bytes", comma separated; "" is the
// nil Ring. Its errors name the place in the list and never the text.
func Parse(text string) (*Ring, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	r := &Ring{}
	var problems []error
	for i, part := range strings.Split(text, ",") {
		k, err := parseKey(strings.TrimSpace(part))
		if err == nil && r.find(k.id) != nil {
			err = errors.New("its id stands in the list twice")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		r.keys = append(r.keys, k)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return r, nil
}

func parseKey(text string) (key, error) {
	id, encoded, ok := strings.Cut(text, ":")
	if !ok || !keyID.MatchString(id) {
		return key{}, errors.New("write it like 2026a:BASE64, the id of up to 32 letters, digits, dots, dashes or underscores")
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != keyBytes {
		return key{}, fmt.Errorf("not %d bytes in base64: make one with openssl rand -base64 %[1]d", keyBytes)
	}
	if !slices.ContainsFunc(raw, func(b byte) bool { return b != raw[0] }) {
		return key{}, errors.New("all its bytes are the same: that is no key")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCM(block)
	return key{id, aead}, err
}

func (r *Ring) find(id string) *key {
	if r == nil {
		return nil
	}
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i]
		}
	}
	return nil
}

// Seals reports whether the ring has a key to seal with.
func (r *Ring) Seals() bool { return r != nil && len(r.keys) > 0 }

// Prefix is how every text begins that the ring's first key sealed.
func (r *Ring) Prefix() []byte {
	id := r.keys[0].id
	return append([]byte{form, byte(len(id))}, id...)
}

// Seal encrypts plain with the ring's first key, under a random nonce. place
// says what the text is and where it belongs; Open must be told the same. One
// key is good for four thousand million texts.
func (r *Ring) Seal(place string, plain []byte) []byte {
	head := r.Prefix()
	k := r.keys[0].aead
	out := make([]byte, 0, len(head)+k.NonceSize()+len(plain)+k.Overhead())
	out = append(out, head...)
	nonce := out[len(out) : len(out)+k.NonceSize()]
	_, _ = rand.Read(nonce) // it never fails: crypto/rand ends the program instead
	return k.Seal(out[:len(out)+len(nonce)], nonce, plain, []byte(place))
}

// Open decrypts what Seal made for the same place. ErrNoKey, with the key's id
// in the text: the ring lacks the key. ErrDamaged: it is not what was sealed.
func (r *Ring) Open(place string, sealed []byte) ([]byte, error) {
	if len(sealed) < 2 || sealed[0] != form || len(sealed) < 2+int(sealed[1]) {
		return nil, ErrDamaged
	}
	id, rest := string(sealed[2:2+int(sealed[1])]), sealed[2+int(sealed[1]):]
	if !keyID.MatchString(id) {
		return nil, ErrDamaged
	}
	k := r.find(id)
	if k == nil {
		return nil, fmt.Errorf("sealed with key %s: %w", id, ErrNoKey)
	}
	if len(rest) < k.aead.NonceSize() {
		return nil, ErrDamaged
	}
	nonce, text := rest[:k.aead.NonceSize()], rest[k.aead.NonceSize():]
	plain, err := k.aead.Open([]byte{}, nonce, text, []byte(place))
	if err != nil {
		return nil, fmt.Errorf("sealed with key %s: %w", id, ErrDamaged)
	}
	return plain, nil
}
