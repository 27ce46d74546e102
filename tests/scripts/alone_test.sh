#!/usr/bin/env bash
# Tests scripts/alone: of two commands on one build tree the second waits for the first. Both return their exit codes.
set -euo pipefail
alone=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/scripts/alone
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $1"; exit 1; }

mkfifo started go
"$alone" bash -c 'echo first >> order; echo > started; read -r _ < go; echo first ends >> order' &
first=$!
read -r _ < started
"$alone" bash -c 'echo second >> order' 2> said &
second=$!
until grep -q "waiting for another make" said; do kill -0 "$second" || fail "the second did not wait"; sleep 0.05; done
echo > go
wait "$first" "$second"
[[ $(paste -sd, order) == "first,first ends,second" ]] || fail "order: $(paste -sd, order)"

status=0
"$alone" bash -c 'exit 7' || status=$?
[[ $status == 7 ]] || fail "exit code $status, not 7"
echo passed
