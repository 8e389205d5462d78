// Package sandbox is an ERPNext in memory, faithful to the wire: the REST API
// of one small site, with its naming, link checks, permissions, document
// states, side effects and its ways of failing. It serves the demo, the
// `server sandbox` command and the tests of everything that talks to ERPNext.
//
// It knows documents and HTTP answers as a client sees them; it has no ledger
// reports, no stock movements and no desk, and it has never heard of webhooks
// or of this service's own keys.
//
// Amounts are binary floating point numbers here, on purpose: ERPNext computes
// in them, and an imitation that was more exact would hide its rounding.
package sandbox
