#!/usr/bin/env bash
# Tests scripts/fuzz with a stand-in for libFuzzer's program.
set -euo pipefail
script=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/scripts/fuzz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $1"; exit 1; }

mkdir -p "$work/scripts" "$work/tests/fuzz/corpus/"{image,tar} "$work/build/fuzz/tests"
cp "$script" "$work/scripts/fuzz"
cat >"$work/build/fuzz/tests/fuzz" <<'STANDIN'
#!/bin/sh
echo "$TRAINYARD_FUZZ $1" >>"$RUNS"
STANDIN
chmod +x "$work/build/fuzz/tests/fuzz"
export RUNS=$work/runs

ran() { # expected runs, arguments...
  local expected=$1
  shift
  : >"$RUNS"
  "$work/scripts/fuzz" "$@" >/dev/null || fail "fuzz $* ended with $?"
  [[ $(paste -sd, "$RUNS") == "$expected" ]] || fail "fuzz $* ran $(paste -sd, "$RUNS")"
}
ran "image -max_total_time=20,tar -max_total_time=20"
ran "image -max_total_time=3,tar -max_total_time=3" 3
ran "tar -max_total_time=20" tar
ran "tar -max_total_time=600,image -max_total_time=600" 600 tar image

status=0
said=$("$work/scripts/fuzz" 600 tra 2>&1) || status=$?
[[ $status == 2 ]] || fail "an unknown target ended with $status, not 2"
[[ $said == "[fuzz] there is no target 'tra'; there are image tar" ]] || fail "an unknown target said: $said"
echo passed
