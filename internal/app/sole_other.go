//go:build !linux && !darwin

package app

// sole cannot be made sure of on this system.
func sole(string) (release func() error, err error) { return func() error { return nil }, nil }
