package storetest

var settles = map[string]func(bench){
	"X": func(b bench) {
		b.put(received("s", 1))
		b.put(received("s", 2))
		c := b.claimOf("evt-1")
		b.nothingToClaim()
		b.settle(c, done())
		b.settle(b.claimOf("evt-2"), dead())
	},
}
