package event

// Heartbeat is the source of the one event that the service sends itself, over
// and over, to see that its own chain works. It is nobody's business: listings
// and counts of events leave it out unless they are asked for it by name, and
// no sender may be configured under this name.
const Heartbeat = "heartbeat"
