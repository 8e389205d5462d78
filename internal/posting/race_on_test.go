//go:build race

package posting_test

// The property of the books is tried with shards × 100 × perSite histories: few
// under the race detector, which makes each ten times as dear.
const (
	shards  = 3
	perSite = 1
)
