#!/bin/sh
# Runs all tests, one package at a time: recordings run in real time and would
# take each other's processor. A package that fails is run once more at the end,
# alone: what fails again is broken, what does not is named, for a machine that
# was too busy for a recording in real time is no defect of the product.
set -u
log=$(mktemp)
trap 'rm -f "$log"' EXIT

CGO_ENABLED=1 go test -p 1 -timeout 20m "$@" 2>&1 | tee "$log"
failed=$(awk '$1 == "FAIL" && $2 ~ /^tapedeck\// {print $2}' "$log" | sort -u)
if [ -z "$failed" ]; then
	! grep -q '^FAIL' "$log"
	exit
fi
echo
echo "once more, alone: $failed"
# shellcheck disable=SC2086
if CGO_ENABLED=1 go test -count 1 -p 1 -timeout 20m $failed; then
	echo "unsteady, passed the second time: $failed"
	exit 0
fi
exit 1
