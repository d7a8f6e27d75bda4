#!/bin/sh
# Installs the Debian packages that building, the demo or the tests need, if
# they are missing. Asks for nothing; uses sudo when it is not run by root.
#   scripts/setup.sh build   codecs and their headers
#   scripts/setup.sh demo    + ffmpeg as judge and maker of the test pictures
#   scripts/setup.sh test    + Chromium for web pages, with Xvfb, npm for the
#                            player and Azurite, nginx as an RTMP server (it is
#                            never started as a service)
set -eu

build="gcc g++ pkg-config libc6-dev libavcodec-dev libavutil-dev libswresample-dev libyuv-dev libopus-dev"
demo="ffmpeg fonts-dejavu-core"
test="chromium xvfb nginx libnginx-mod-rtmp procps e2fsprogs"

case "${1:-build}" in
build) want="$build" ;;
demo) want="$build $demo" ;;
test)
	want="$build $demo $test"
	command -v npm >/dev/null 2>&1 || want="$want nodejs npm"
	;;
*)
	echo "usage: $0 build|demo|test" >&2
	exit 2
	;;
esac

if ! command -v go >/dev/null 2>&1; then
	echo "Go 1.26 or newer is needed (https://go.dev/dl)." >&2
	exit 1
fi

missing=""
for p in $want; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

echo "installing:$missing"
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
$as_root apt-get update -qq
# Services that packages bring stay off: only their programs are wanted.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
	trap '$as_root rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
