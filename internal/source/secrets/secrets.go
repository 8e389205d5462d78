// Package secrets holds the shared secrets that one source's deliveries may be
// signed with: several during a rotation, never none. It does not know how any
// provider signs.
package secrets

import (
	"errors"
	"strconv"
	"strings"
)

// Set is the secrets of one source, newest first. Its position names a secret.
type Set [][]byte

// New takes secrets as they are written. It refuses to be without one, or with
// an empty one: anyone could sign with that. The error names the provider and
// the position, never the secret.
func New(provider string, texts []string) (Set, error) {
	if len(texts) == 0 {
		return nil, errors.New(provider + ": no secret")
	}
	set := make(Set, 0, len(texts))
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			return nil, errors.New(provider + ": secret " + strconv.Itoa(i+1) + " is empty")
		}
		set = append(set, []byte(text))
	}
	return set, nil
}

// Slots are the values that Event.SecretSlot can take: the positions of the
// secrets, counted from 0.
func (s Set) Slots() []string {
	slots := make([]string, len(s))
	for i := range slots {
		slots[i] = strconv.Itoa(i)
	}
	return slots
}
