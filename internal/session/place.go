package session

// Where a recording may be made: the name of a region, or one of these.
const (
	PlaceAny     = "*" // by any node
	PlaceUnnamed = ""  // by a node that has no region
)
