package erpnext

// Scalar is scalar, for tests that read what it writes.
var Scalar = scalar
