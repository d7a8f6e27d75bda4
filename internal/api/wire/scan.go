package wire

// scanner reads the plainest JSON: ASCII strings without escapes, small
// natural numbers, objects whose members are known and there once. Whatever
// else it meets makes it give up, and the general decoder takes over, so it need
// not know any rule. Nearly every acquire is that plain, and this costs a tenth.
type scanner struct {
	in   []byte
	at   int
	fail bool
}

// scanAcquire reads the body of acquire if it is plain and nothing is wrong with
// it.
func (r *Rules) scanAcquire(body []byte) (rawEnvelope, acquireOptions, bool) {
	s := scanner{in: body}
	var env rawEnvelope
	opts := acquireOptions{ExpiredHour: r.expiredHour.number(), Scene: r.scene.number()}
	var seen, inner int
	s.object(func(name []byte) {
		switch string(name) {
		case "cname":
			s.once(&seen, 1)
			env.CName = s.text()
		case "uid":
			s.once(&seen, 2)
			env.UID = s.text()
		case "clientRequest":
			s.once(&seen, 4)
			s.object(func(name []byte) {
				switch string(name) {
				case "region":
					s.once(&inner, 1)
					opts.Region = s.text()
				case "resourceExpiredHour":
					s.once(&inner, 2)
					opts.ExpiredHour = s.number()
				case "scene":
					s.once(&inner, 4)
					opts.Scene = s.number()
				case "regionAffinity":
					s.once(&inner, 8)
					opts.Affinity = s.number()
				default:
					s.fail = true
				}
			})
		default:
			s.fail = true
		}
	})
	s.space()
	whole := seen == 7 && env.CName != "" && env.UID != "" &&
		r.expiredHour.holds(float64(opts.ExpiredHour)) && r.scene.holds(float64(opts.Scene))
	return env, opts, whole && !s.fail && s.at == len(s.in)
}

// once notes a member and fails if it was there before.
func (s *scanner) once(seen *int, bit int) {
	if *seen&bit != 0 {
		s.fail = true
	}
	*seen |= bit
}

func (s *scanner) space() {
	for s.at < len(s.in) {
		switch s.in[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// take reads one character behind white space.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.at < len(s.in) && s.in[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) must(c byte) {
	if !s.take(c) {
		s.fail = true
	}
}

// object calls member for each name, which reads the value.
func (s *scanner) object(member func(name []byte)) {
	s.must('{')
	if s.fail || s.take('}') {
		return
	}
	for {
		name := s.str()
		s.must(':')
		if s.fail {
			return
		}
		member(name)
		if s.fail || s.take('}') {
			return
		}
		s.must(',')
	}
}

// str reads a string and returns it in place.
func (s *scanner) str() []byte {
	s.must('"')
	start := s.at
	for ; s.at < len(s.in); s.at++ {
		switch c := s.in[s.at]; {
		case c == '"':
			s.at++
			return s.in[start : s.at-1]
		case c < ' ' || c > '~' || c == '\\':
			s.fail = true
			return nil
		}
	}
	s.fail = true
	return nil
}

func (s *scanner) text() string { return string(s.str()) }

// number reads up to nine digits.
func (s *scanner) number() int {
	s.space()
	n, start := 0, s.at
	for ; s.at < len(s.in) && s.in[s.at] >= '0' && s.in[s.at] <= '9'; s.at++ {
		n = n*10 + int(s.in[s.at]-'0')
		if s.at-start == 9 {
			s.fail = true
			return 0
		}
	}
	if s.at == start || s.in[start] == '0' && s.at-start > 1 {
		s.fail = true
	}
	return n
}
