package app

import (
	"runtime"
	"runtime/debug"
)

// Version names the build: the module's version or the commit it was made from.
func Version() string {
	v, commit := "devel", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" && info.Main.Version != "(devel)" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				commit = " " + s.Value[:12]
			}
		}
	}
	return "tapedeck " + v + commit + " " + runtime.Version()
}
