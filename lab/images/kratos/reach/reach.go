// Package reach lets Kratos open connections within the lab.
//
// Kratos refuses addresses that nobody should have, and the benchmark network (RFC 2544), which the lab uses so that
// nothing real is met by mistake, is among them. Its HTTP clients copy the list when their package is initialised.
// Packages are initialised in the order of their import paths, as soon as what they import is: the name of this module
// makes this one come first.
package reach

import (
	"net/netip"
	"slices"

	"code.dny.dev/ssrf"
)

func init() {
	lab := netip.MustParsePrefix("198.18.0.0/15")
	ssrf.IPv4DeniedPrefixes = slices.DeleteFunc(ssrf.IPv4DeniedPrefixes, func(prefix netip.Prefix) bool { return prefix == lab })
}
