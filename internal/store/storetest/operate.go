package storetest

var operations = map[string]func(bench){}
var memory = map[string]func(bench){}
var retention = map[string]func(bench){}
