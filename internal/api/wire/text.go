package wire

import "strconv"

// oneOf reports whether s is one of the values.
func oneOf(s string, values ...string) bool {
	for _, v := range values {
		if s == v {
			return true
		}
	}
	return false
}

// parseUID reads a user id: decimal digits, 1..2^32-1, without sign or leading
// zeros, so that the same user has one spelling only.
func parseUID(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || s[0] == '0' || s[0] == '+' {
		return 0, false
	}
	return uint32(n), true
}

// allDigits tells a number that is out of range from something that is none.
func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// plain reports whether s has no control characters and no spaces: it can be put
// into a header or a file name.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// every reports whether s is not empty and has only bytes that ok allows.
func every(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return s != ""
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}
