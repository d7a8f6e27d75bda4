package resource

// Region is the geofence that acquire asked for (rest-api.md 2.1).
type Region uint8

// The regions of the API.
const (
	Anywhere     Region = iota // not said: the nearest
	China                      // "CN"
	Asia                       // "AP", without mainland China
	Europe                     // "EU"
	NorthAmerica               // "NA"
)

// ParseRegion reads clientRequest.region; "" is Anywhere.
func ParseRegion(s string) (Region, bool) {
	switch s {
	case "":
		return Anywhere, true
	case "CN":
		return China, true
	case "AP":
		return Asia, true
	case "EU":
		return Europe, true
	case "NA":
		return NorthAmerica, true
	}
	return Anywhere, false
}

// String is the name of the API, "" for Anywhere.
func (r Region) String() string {
	switch r {
	case China:
		return "CN"
	case Asia:
		return "AP"
	case Europe:
		return "EU"
	case NorthAmerica:
		return "NA"
	}
	return ""
}

// Affinity turns clientRequest.regionAffinity, 0..4, into the region it means.
func Affinity(n int) (Region, bool) {
	if n < int(Anywhere) || n > int(NorthAmerica) {
		return Anywhere, false
	}
	return Region(n), true
}
