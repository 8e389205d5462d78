package sqlite

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// Tests that need a second process run this test binary again in a role.
const (
	roleEnv = "LEDGERHOOK_TEST_ROLE"
	pathEnv = "LEDGERHOOK_TEST_INBOX"
)

func TestMain(m *testing.M) {
	roles := map[string]func(context.Context, *DB) error{"putter": putForEver, "operator": operate}
	role, ok := roles[os.Getenv(roleEnv)]
	if !ok {
		os.Exit(m.Run())
	}
	db, err := Open(context.Background(), Options{Path: os.Getenv(pathEnv)})
	if err == nil {
		err = role(context.Background(), db)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func process(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, pathEnv+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// putForEver puts from many callers and prints each event once it was
// acknowledged.
func putForEver(ctx context.Context, db *DB) error {
	var lines sync.Mutex
	var wg sync.WaitGroup
	failed := make(chan error, 16)
	for caller := range 16 {
		wg.Go(func() {
			for n := 0; ; n++ {
				ev := numbered(caller*1_000_000 + n)
				ev.Body = []byte(strings.Repeat(ev.ProviderID+" ", 200))
				r, err := db.Put(ctx, ev)
				if err != nil {
					failed <- err
					return
				}
				lines.Lock()
				fmt.Println(r.ID, ev.ProviderID)
				lines.Unlock()
			}
		})
	}
	wg.Wait()
	return <-failed
}

func TestEveryAcknowledgedEventSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	acknowledged := make(map[string]string)
	for kill := range 3 { // each on what the one before left behind
		cmd := process(t, "putter", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if id, providerID, whole := strings.Cut(lines.Text(), " "); whole {
				acknowledged[id] = providerID
			}
			if n == 300*(kill+1) {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Success() {
			t.Fatal("the process ended by itself")
		}
	}
	if len(acknowledged) < 600 {
		t.Fatalf("only %d events were acknowledged", len(acknowledged))
	}
	db := openAt(t, path)
	for id, providerID := range acknowledged {
		ev, _, _, err := db.Get(t.Context(), id)
		if err != nil || string(ev.Body) != strings.Repeat(providerID+" ", 200) {
			t.Errorf("%s was acknowledged: %v", providerID, err)
		}
	}
	var verdict string
	if err := db.read.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check says %s, %v", verdict, err)
	}
	wantCounts(t, db)
}

// operate is what the command line does beside a running service: look at the
// dead letters and replay them.
func operate(ctx context.Context, db *DB) error {
	deadOnes, _, err := db.List(ctx, event.Filter{State: event.Dead})
	if err != nil {
		return err
	}
	for _, ev := range deadOnes {
		if err := db.Replay(ctx, ev.ID); err != nil {
			return err
		}
		fmt.Println(ev.ProviderID)
	}
	return db.Close()
}

func TestAnotherProcessReadsAndReplaysBesideTheService(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	db := openAt(t, path)
	for n := range 20 {
		put(t, db, n)
		c, err := db.Claim(t.Context(), time.Minute)
		if err != nil || c == nil {
			t.Fatalf("claim: %v, %v", c, err)
		}
		if err := db.Settle(t.Context(), c, event.Outcome{State: event.Dead}); err != nil {
			t.Fatal(err)
		}
	}
	stop, putting := make(chan struct{}), make(chan int)
	go func() {
		n := 1000
		defer func() { putting <- n }()
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := db.Put(context.WithoutCancel(t.Context()), numbered(n)); err != nil {
					t.Errorf("put beside another process: %v", err)
					return
				}
				n++
			}
		}
	}()
	out, err := process(t, "operator", path).Output()
	close(stop)
	n := <-putting
	if err != nil || len(strings.Fields(string(out))) != 20 {
		t.Fatalf("the other process replayed %q: %v", out, err)
	}
	stats, err := db.Stats(t.Context())
	if want := int64(20 + n - 1000); err != nil || stats.ByState[event.Pending] != want || stats.ByState[event.Dead] != 0 {
		t.Errorf("got %v, %v, want %d pending", stats.ByState, err, want)
	}
	wantCounts(t, db)
}

// A batch larger than the writer's memory of pages is in the log in part when a
// request of it fails; then another process writes in its place.
func TestABatchThatFailedReplacesNothingOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inbox.db")
	db, other := openAt(t, path), openAt(t, path)
	const pages = cacheBytes / pageSize
	for n := range 40 { // so that a few pages only are in the log
		if _, err := db.w.keeper.c.exec("PRAGMA wal_checkpoint(RESTART)"); err != nil {
			t.Fatal(err)
		}
		refused := errors.New("refused")
		err := db.write(t.Context(), "test", func(c *conn) error {
			err := c.script(fmt.Sprintf("CREATE TABLE large (x); WITH RECURSIVE up (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM up WHERE i < %d) INSERT INTO large SELECT zeroblob(%d) FROM up",
				pages*3/4+n*pages/160, pageSize-100))
			return cmp.Or(err, refused)
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		put(t, other, n)
		put(t, db, n)
	}
	var verdict string
	if err := db.read.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check says %s, %v", verdict, err)
	}
	wantCounts(t, db)
}

// wantCounts compares the kept counts with counting.
func wantCounts(t *testing.T, db *DB) {
	t.Helper()
	var wrong int
	err := db.read.QueryRowContext(t.Context(), `
SELECT count(*) FROM (SELECT source, state, count(*) AS n FROM events GROUP BY source, state) AS truth
FULL OUTER JOIN counts USING (source, state) WHERE coalesce(truth.n, 0) <> coalesce(counts.n, 0)`).Scan(&wrong)
	if err != nil || wrong != 0 {
		t.Errorf("%d counts are wrong, %v", wrong, err)
	}
}
