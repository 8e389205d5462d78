// Package chaos breaks the service on purpose and looks whether its promise
// holds: every acknowledged event is settled, and every document exists exactly
// once. The service and the in-memory ERPNext are processes of their own, talked
// to over real HTTP, killed with SIGKILL, frozen, starved of disk and set to the
// wrong time while senders that never give up deliver to them.
//
// What is done to them is drawn from a seed. Timing is not, so that a seed
// repeats the plan and not the run.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"
)

// Options say how much is broken.
type Options struct {
	Server  string // the program, run as the service and as the ERPNext
	Dir     string // of inbox, site and logs; "" = a temporary one, kept when the promise was broken
	Kills   int    // how many processes are killed
	Seed    uint64 // 0 = drawn
	Senders int    // 0 = 8
	Out     io.Writer
}

// ErrBroken means that the promise was broken: the report says how.
var ErrBroken = errors.New("the promise was broken")

// Report is what was done and what became of it.
type Report struct {
	Seed         uint64         `json:"seed"`
	Harm         map[string]int `json:"harm"`
	Orders       int            `json:"orders"`
	Acknowledged int            `json:"acknowledged"`
	Refused      int64          `json:"refused"` // deliveries that got no 200 and were sent again
	Took         time.Duration  `json:"took"`
	Broken       []string       `json:"broken"`
	Dir          string         `json:"dir,omitempty"`
}

// Run breaks a fresh service Options.Kills times, lets it settle, and judges.
// It fails with ErrBroken when an event or document is not as it must be, and
// with another error when the world for it could not be set up.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	if o.Senders == 0 {
		o.Senders = 8
	}
	begin := time.Now()
	report := Report{Seed: o.Seed, Harm: map[string]int{}}
	fmt.Fprintf(o.Out, "seed %d, %d kills\n", o.Seed, o.Kills)
	dir, temporary := o.Dir, o.Dir == ""
	if temporary {
		var err error
		if dir, err = os.MkdirTemp("", "ledgerhook-chaos-"); err != nil {
			return report, err
		}
	}
	w, err := newWorld(o.Server, dir)
	if err != nil {
		return report, err
	}
	defer w.stop()
	if err := w.begin(ctx); err != nil {
		return report, errors.Join(err, errors.New("see the logs in "+dir))
	}
	err = w.live(ctx, o, &report)
	report.Took = time.Since(begin).Round(time.Millisecond)
	if err == nil && len(report.Broken) > 0 {
		err = ErrBroken
	}
	if err != nil {
		report.Dir = dir
		return report, err
	}
	w.stop()
	if temporary {
		err = os.RemoveAll(dir)
	}
	return report, err
}

// live lets the shop sell while harm is done, then judges.
func (w *world) live(ctx context.Context, o Options, report *Report) error {
	dice := rand.New(rand.NewPCG(o.Seed, 0xbad))
	shop, err := openShop(ctx, w.url, o.Senders, dice)
	if err != nil {
		return err
	}
	harm := &harm{world: w, dice: dice, done: report.Harm}
	for killed := 0; killed < o.Kills; {
		shop.sell(ordersPerHarm)
		n, err := harm.next(ctx)
		if err != nil {
			return errors.Join(err, shop.close())
		}
		if killed += n; n > 0 && killed%25 == 0 {
			fmt.Fprintf(o.Out, "%d of %d killed, %d events acknowledged\n", killed, o.Kills, shop.acknowledged())
		}
	}
	if err := harm.end(ctx); err != nil {
		return errors.Join(err, shop.close())
	}
	if err := shop.close(); err != nil {
		return err
	}
	report.Orders, report.Acknowledged, report.Refused = len(shop.orders), shop.acknowledged(), shop.refused.Load()
	fmt.Fprintf(o.Out, "%d orders, %d events acknowledged; waiting until all is settled\n", report.Orders, report.Acknowledged)
	report.Broken, err = w.judge(ctx, shop)
	return err
}

// ordersPerHarm keeps work in hand at every moment.
const ordersPerHarm = 4
