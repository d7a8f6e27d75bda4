package webpage

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"tapedeck/internal/webpage/jail"
)

// program finds Chromium. Debian's /usr/bin/chromium is a script that adds
// flags of its own: the program behind it is taken.
func program(given string) (string, error) {
	for _, p := range []string{given, "/usr/lib/chromium/chromium", "chromium", "google-chrome-stable"} {
		if p == "" {
			continue
		}
		if found, err := exec.LookPath(p); err == nil {
			return found, nil
		}
	}
	return "", errors.New("webpage: no Chromium on this machine: install Debian's package chromium")
}

// startURL is the empty page of the window: the browser has others of its own.
const startURL = "about:blank"

// flags are how the browser is started. The window fills the output, nothing
// asks, nothing speaks to anybody but the page's servers.
func flags(c Config) []string {
	platform := "wayland"
	if c.Display == Xvfb {
		platform = "x11"
	}
	list := []string{
		"--remote-debugging-pipe", "--ozone-platform=" + platform, "--kiosk", "--disable-gpu",
		fmt.Sprintf("--window-size=%d,%d", c.W/c.scale(), c.H/c.scale()), "--window-position=0,0",
		"--force-color-profile=srgb", "--hide-scrollbars", "--lang=en-US",
		"--no-first-run", "--no-default-browser-check", "--disable-infobars", "--noerrdialogs",
		"--autoplay-policy=no-user-gesture-required", "--deny-permission-prompts", "--block-new-web-contents",
		"--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-domain-reliability",
		"--disable-client-side-phishing-detection", "--disable-component-extensions-with-background-pages", "--disable-default-apps", "--disable-extensions", "--disable-breakpad",
		"--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
		"--disable-quic", "--webrtc-ip-handling-policy=disable_non_proxied_udp", "--disable-hang-monitor",
		"--disable-features=Translate,MediaRouter,OptimizationHints,AutofillServerCommunication,DialMediaRouteProvider,CalculateNativeWinOcclusion,WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,PreloadTopChromeWebUI",
		"--password-store=basic", "--audio-buffer-size=1024", "--disk-cache-size=67108864", "--js-flags=--max-old-space-size=1024",
	}
	if c.Display == Xvfb {
		list = append(list, fmt.Sprintf("--force-device-scale-factor=%d", c.scale()))
	}
	return append(list, startURL)
}

// policies are Chromium's managed policies: what no page can lead around.
func policies() map[string]any {
	return map[string]any{
		"URLBlocklist": []string{
			"file://*", "chrome://*", "chrome-untrusted://*", "devtools://*", "view-source:*", "ftp://*", "javascript://*", "filesystem:*",
		},
		"URLAllowlist":                    []string{"chrome://crash", "chrome://hang"},
		"WebRtcIPHandling":                "disable_non_proxied_udp",
		"DownloadRestrictions":            3,
		"PrintingEnabled":                 false,
		"BrowserSignin":                   0,
		"PasswordManagerEnabled":          false,
		"TranslateEnabled":                false,
		"DnsOverHttpsMode":                "off",
		"DefaultPopupsSetting":            2,
		"DefaultNotificationsSetting":     2,
		"DefaultGeolocationSetting":       2,
		"AllowFileSelectionDialogs":       false,
		"DefaultSerialGuardSetting":       2,
		"DefaultWebUsbGuardSetting":       2,
		"DefaultWebBluetoothGuardSetting": 2,
		"BackgroundModeEnabled":           false,
		"MetricsReportingEnabled":         false,
		"ComponentUpdatesEnabled":         false,
		"ExtensionInstallBlocklist":       []string{"*"},
	}
}

// environment is all the browser sees of ours.
func environment() []string {
	env := []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "DBUS_SESSION_BUS_ADDRESS=disabled:", "DBUS_SYSTEM_BUS_ADDRESS=disabled:"}
	if tz := os.Getenv("TZ"); tz != "" {
		env = append(env, "TZ="+tz)
	}
	return env
}

func (c Config) jail(path string) jail.Config {
	screen := ""
	if c.Display == Xvfb {
		screen = fmt.Sprintf("%dx%d", c.W+1, c.H+1) // without a window manager its window is one smaller each way
	}
	return jail.Config{
		Screen:  screen,
		Program: path, Args: flags(c), Env: environment(), UID: c.UID, Policies: policies(),
		Log: c.Output, Force: c.Jail, Limit: c.Limit, Memory: c.memory() / 3 * 4,
	}
}
