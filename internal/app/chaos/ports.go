package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports below those that systems give to outgoing connections: while a process
// is dead, none of its clients' connections may take its port.
const (
	firstPort = 12000
	lastPort  = 32000
)

// Reserve names addresses on this machine that nobody listens on.
func Reserve(n int) ([]string, error) {
	var addresses []string
	for range 100 * n {
		if len(addresses) == n {
			return addresses, nil
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort)))
		if err != nil {
			continue // somebody's
		}
		defer l.Close() // not before all are named, or two would be one
		addresses = append(addresses, l.Addr().String())
	}
	return nil, errors.New("no free ports on this machine")
}
