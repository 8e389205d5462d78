//go:build !race

package posting_test

// The property of the books is tried with shards × 100 × perSite histories.
const (
	shards  = 10
	perSite = 5
)
