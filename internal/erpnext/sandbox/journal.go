package sandbox

var journalController = controller{}
