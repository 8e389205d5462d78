package config

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// Secret prints as "[redacted]" wherever it ends up; Reveal is the one way out.
type Secret string

const redacted = "[redacted]"

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal gives the secret itself, for the one call that needs it.
func (s Secret) Reveal() string { return string(s) }

// Reveal gives the texts of several secrets.
func Reveal(secrets []Secret) []string {
	texts := make([]string, len(secrets))
	for i, s := range secrets {
		texts[i] = s.Reveal()
	}
	return texts
}

// SecretSource is a secret that stands in the environment or in a file. A file
// is read at every Read, so that a rotated secret is found without a restart.
type SecretSource struct {
	name  string // for messages: "ERPNEXT_API_KEY"
	value string
	file  string
}

// IsSet reports whether the operator gave this secret at all.
func (s SecretSource) IsSet() bool { return s.value != "" || s.file != "" }

// Read gives the secret without surrounding white space. It fails when both
// forms are given, or the file cannot be read or is empty; the message names
// the variable, never the content.
func (s SecretSource) Read() (Secret, error) {
	switch {
	case s.value != "" && s.file != "":
		return "", fmt.Errorf("%s%s and %s%s_FILE are both set: keep one", prefix, s.name, prefix, s.name)
	case s.file == "":
		return Secret(strings.TrimSpace(s.value)), nil
	}
	raw, err := os.ReadFile(s.file)
	if err != nil {
		return "", fmt.Errorf("%s%s_FILE: %w", prefix, s.name, err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return "", fmt.Errorf("%s%s_FILE: the file is empty", prefix, s.name)
	}
	return Secret(text), nil
}

// Stamp is another text whenever the secret's file was written anew or
// replaced; "" for a secret that stands in the environment, or a file that
// cannot be looked at.
func (s SecretSource) Stamp() string {
	if s.file == "" {
		return ""
	}
	info, err := os.Stat(s.file) // of what a link points to: that is what is swapped in a container
	if err != nil {
		return ""
	}
	return fmt.Sprint(info.ModTime().UnixNano(), "/", info.Size())
}

// follow gives a secret as it stands at each call: one that is rotated in its
// file needs no restart. While the file cannot be read, what was read last holds.
func follow(file string, last Secret) func() string {
	if file == "" {
		return last.Reveal
	}
	var mu sync.Mutex
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		if now, err := (SecretSource{file: file}).Read(); err == nil {
			last = now
		}
		return last.Reveal()
	}
}

// SecretFile is a secret in a file, for tests.
func SecretFile(path string) SecretSource { return SecretSource{file: path} }

// SecretText is a secret that was given as text, for the demo and tests.
func SecretText(text string) SecretSource { return SecretSource{value: text} }
