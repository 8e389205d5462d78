package storebench

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"

	"github.com/ledgerhook/ledgerhook/internal/event"
)

// appendLog writes records one after the other into a file: one goroutine
// takes all that wait, writes them with one call and brings them to disk with
// one fsync.
type appendLog struct {
	file  *os.File
	queue chan record
	done  chan error
}

type record struct {
	bytes  []byte
	answer chan error
}

func openAppendLog(dir string) (*appendLog, error) {
	f, err := os.CreateTemp(dir, "append-only-*.log")
	if err != nil {
		return nil, err
	}
	l := &appendLog{file: f, queue: make(chan record, 4096), done: make(chan error, 1)}
	go l.run()
	return l, nil
}

func (l *appendLog) close() error {
	close(l.queue)
	return errors.Join(<-l.done, l.file.Close(), os.Remove(l.file.Name()))
}

func (l *appendLog) put(_ context.Context, ev event.Event) error {
	bytes, err := encode(ev)
	if err != nil {
		return err
	}
	r := record{bytes, make(chan error, 1)}
	l.queue <- r
	return <-r.answer
}

// encode gives everything an inbox keeps too: length, metadata, body.
func encode(ev event.Event) ([]byte, error) {
	body := ev.Body
	ev.Body = nil
	meta, err := json.Marshal(ev)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, 8+len(meta)+len(body))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(meta)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	return append(append(b, meta...), body...), nil
}

func (l *appendLog) run() {
	var buf []byte
	var batch []record
	for first := range l.queue {
		batch = append(batch[:0], first)
		batch = l.gather(batch)
		buf = buf[:0]
		for _, r := range batch {
			buf = append(buf, r.bytes...)
		}
		_, err := l.file.Write(buf)
		if err == nil {
			err = l.file.Sync()
		}
		for _, r := range batch {
			r.answer <- err
		}
	}
	l.done <- nil
}

func (l *appendLog) gather(batch []record) []record {
	for {
		select {
		case r, ok := <-l.queue:
			if !ok {
				return batch
			}
			batch = append(batch, r)
		default:
			return batch
		}
	}
}
