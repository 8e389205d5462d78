package sandbox

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// user is who a request runs as.
type user struct {
	name    string
	key     string
	secret  string
	enabled bool
	roles   map[string]bool
	all     bool // Administrator: every right
}

var guest = &user{name: "Guest", enabled: true, roles: map[string]bool{"Guest": true}}

func (u *user) isGuest() bool { return u == guest }

// authenticate finds who asks. A header that does not split into two parts is
// not seen at all; one that does and is wrong is refused, whatever is asked.
func (s *Site) authenticate(r *http.Request) (*user, error) {
	parts := strings.Split(r.Header.Get("Authorization"), " ")
	if len(parts) != 2 {
		return guest, nil
	}
	pair := parts[1]
	switch strings.ToLower(parts[0]) {
	case "basic":
		decoded, err := base64.StdEncoding.DecodeString(pair)
		if err != nil {
			return nil, bare("AuthenticationError", "")
		}
		pair = string(decoded)
	case "token":
	case "bearer":
		return s.bearerUser(pair)
	default:
		return nil, bare("AuthenticationError", "")
	}
	key, secret, ok := strings.Cut(pair, ":")
	u := s.users[key]
	if !ok || u == nil || secret == "" || u.secret != secret || (!u.enabled && s.opts.Version != 14) {
		return nil, bare("AuthenticationError", "")
	}
	return u, nil
}
