package sqlite

import "time"

// layout is UTC text of fixed width, so that text sorts as time does.
const layout = "2006-01-02T15:04:05.000000Z"

// text is t in the inbox's form; the zero time is "".
func text(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(layout)
}

// moment reads what text wrote. Anything else is the zero time: the inbox
// writes these columns alone.
func moment(s string) time.Time {
	t, err := time.Parse(layout, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
