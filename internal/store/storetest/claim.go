package storetest

var claims = map[string]func(bench){
	"NothingIsDueInAnEmptyInbox": func(b bench) { b.nothingToClaim() },
}
