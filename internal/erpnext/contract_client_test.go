package erpnext_test

import "testing"

func (s *contractSite) keepClient(t *testing.T) {}
