#!/usr/bin/env bash
# shellcheck disable=SC2016 # the stand-ins read their own variables
# Tests scripts/preflight with programs that return recorded answers, some of them randomly changed. In all cases it
# ends with a message and a documented exit code, its JSON is valid, and .env is written only if it reports ready.
#   TRAINYARD_PREFLIGHT_FUZZ=1000 cases instead of 100 (fewer on a busy machine: as many as end within 90 s)
#   TRAINYARD_PREFLIGHT_SEED=7 another seed than 1
set -euo pipefail
# shellcheck source=preflight_host.bash
source "$(dirname "${BASH_SOURCE[0]}")/preflight_host.bash"

cases=${TRAINYARD_PREFLIGHT_FUZZ:-100} seconds=${TRAINYARD_PREFLIGHT_FUZZ:+86400} seed=${TRAINYARD_PREFLIGHT_SEED:-1}
host fuzz
answers=$host/answers
mkdir "$answers"

# ---- recorded answers ------------------------------------------------------------------------------------------------

programs=(nvidia-smi docker-version docker-info docker-components docker-context docker-cdi docker-image compose-version
  compose-config df uname getenforce)
declare -A recorded
for i in 0 1 2 3; do
  recorded[nvidia-smi]+="$i, GPU-5d0e1a2b-0000-4444-8888-00000000000$i, NVIDIA H100 80GB HBM3, 580.65.06, 9.0"$'\n'
done
recorded[docker-version]="Docker version 28.2.2, build e6534b4"
info "security=name=apparmor name=seccomp,profile=builtin name=selinux name=cgroupns "
recorded[docker-info]=$(< "$host/docker-info")
recorded[docker-components]=$'Engine\ncontainerd\nrunc\ndocker-init'
recorded[docker-context]=unix:///var/run/docker.sock
recorded[docker-cdi]='[{"Source":"cdi","ID":"nvidia.com/gpu=all"}]'
recorded[docker-image]=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
recorded[compose-version]=2.36.0
recorded[df]=$'Filesystem     1024-blocks      Used Available Capacity Mounted on\n/dev/nvme0n1p2   959786032 220586032 690371296      25% /'
recorded[uname]="Linux 6.8.0-45-generic x86_64"
recorded[getenforce]=Enforcing
recorded[compose-config]='{
  "name": "preflight",
  "services": {
    "ask": {
      "labels": {'
for key in BASE_IMAGE RUNTIME_IMAGE COMPOSE_FILE HOST_UID HOST_GID GPUS MEMLOCK USERNS_MODE SECURITY_OPT; do
  recorded[compose-config]+=$'\n        "'$key'": "=",'
done
recorded[compose-config]=${recorded[compose-config]%,}$'\n      }\n    }\n  }\n}'

# The files of a program hold its answer. Compose's answer is computed from the request, unless it is changed.
answer='answer() { cat "$HOST/answers/$1.err" >&2; cat "$HOST/answers/$1.out"; exit "$(< "$HOST/answers/$1.code")"; }'
for program in nvidia-smi df uname getenforce; do stand_in "$program" "$answer; answer $program"; done
stand_in docker "$answer"'
case "$1 ${2:-}" in
  "--version "*) answer docker-version ;;
  "info --format") if [[ $3 == *DiscoveredDevices* ]]; then answer docker-cdi; else answer docker-info; fi ;;
  "version --format") answer docker-components ;;
  "context inspect") answer docker-context ;;
  "compose version") answer compose-version ;;
  "compose --project-directory")
    if [[ -f $HOST/answers/compose-config.out ]]; then answer compose-config; fi
    shift
    compose_config "$@" ;;
  "image inspect") answer docker-image ;;
esac'

# ---- changes ---------------------------------------------------------------------------------------------------------

RANDOM=$seed
pick() { picked=${*:RANDOM % $# + 1:1}; }

# Changes the text in one way: drops, inserts, duplicates or cuts a line, replaces a field or digits, or drops
# everything.
change() { # sets text
  local lines line at noise field huge=99999999999999999999999
  mapfile -t lines <<< "$text"
  at=$((RANDOM % ${#lines[@]}))
  line=${lines[at]}
  pick $'\e[2J\e]0;x\a' $'\xff\xfe\x80' $'\r' "[N/A]" "[Unknown Error]" "WARNING: infoROM is corrupted at gpu 0000:B3:00.0" \
    "Unable to determine the device handle for GPU0000:0B:00.0: Unknown Error" "-1" "0x10" "08" "1e9" "$huge" "-$huge" \
    '$(touch /tmp/owned)' '`reboot`' 'a[$(reboot)]' '%s%n' '"' "'" "\\" '|' ',' '*' "podman" "name=rootless" "é日" "preflight:version="
  noise=$picked
  case $((RANDOM % 11)) in
    0) lines=("${lines[@]:0:at}" "${lines[@]:at+1}") ;;
    1) lines=("${lines[@]:0:at}" "$noise" "${lines[@]:at}") ;;
    2) lines=("${lines[@]:0:at}" "$line" "${lines[@]:at}") ;;
    3) lines[at]=${line:0:RANDOM % (${#line} + 1)} ;;
    4) lines[at]=${line:RANDOM % (${#line} + 1)} ;;
    5) lines[at]=$line$noise ;;
    6) field=$((RANDOM % (${#line} + 1))); lines[at]=${line:0:field}$noise${line:field} ;;
    7) lines[at]=${line//[0-9]/9} ;;
    8) [[ $line =~ [0-9]+ ]] && lines[at]=${line/${BASH_REMATCH[0]}/$noise} ;;
    9) IFS=', ' read -r field _ <<< "$line"; lines[at]=${line/"$field"/$noise} ;;
    10) lines=() ;;
  esac
  text=$(IFS=$'\n'; echo "${lines[*]}")
}

lay_out() { # sets changed: the differences from the recorded answers
  local program times text code
  rm -f "$answers"/*
  for program in "${programs[@]}"; do
    [[ $program == compose-config ]] || printf '%s\n' "${recorded[$program]}" > "$answers/$program.out"
    : > "$answers/$program.err"
    echo 0 > "$answers/$program.code"
  done
  changed=""
  for ((times = RANDOM % 3; times >= 0; times--)); do
    pick "${programs[@]}" nvidia-smi nvidia-smi docker-info df
    program=$picked text=${recorded[$program]} code=0
    change
    ((RANDOM % 2)) || change
    if ((RANDOM % 8)); then printf '%s\n' "$text"; else printf '%s\0' "$text"; fi > "$answers/$program.out"
    ((RANDOM % 4)) || printf 'noise \e[31m of %s\n' "$program" > "$answers/$program.err"
    ((RANDOM % 3)) || { pick 1 14 124 255; code=$picked; }
    echo "$code" > "$answers/$program.code"
    changed+=" $program($code)"
  done
  case $((RANDOM % 3)) in
    0) rm -f "$host/clone/.env" ;;
    1) printf 'MINE=1\n' > "$host/clone/.env" ;;
    2) printf 'MINE=1\nGPUS=0,2\n' > "$host/clone/.env" ;;
  esac
  rm -f "$host/clone/docker-compose.gpus.yml"
}

# ---- cases -----------------------------------------------------------------------------------------------------------

declare -A ends=([0]=0 [2]=0 [3]=0)
mkdir "$work/json"
for ((number = 1; number <= cases && SECONDS < ${seconds:-90}; number++)); do
  lay_out
  pick "" --json --json "--gpus 1" "--gpus none" "--json --print"
  arguments=$picked before=$(cat "$host/clone/.env" 2> /dev/null || echo none)
  name="case $number of seed $seed:$changed, preflight $arguments"
  status=0
  # shellcheck disable=SC2086 # words
  (cd "$host/clone" && env -i HOST="$host" PREFLIGHT_ROOT="$host/root" PATH="$host/bin:$work/tools" HOME="$host" \
    TMPDIR="$work" bash scripts/preflight $arguments) > "$host/out" 2> "$host/err" || status=$?
  output=$(< "$host/out") errors=$(< "$host/err")
  after=$(cat "$host/clone/.env" 2> /dev/null || echo none)
  case $status in
    0) [[ $output == *Ready* || $output == *'"ready": true'* ]] || fail "ends with 0, and does not say ready"
       [[ $arguments == *--print* || $after == *"end of the block"* ]] || fail "ready, and .env is not written" ;;
    2 | 3) [[ $output$errors == *"what to do"* || $output == *'"severity": "error"'* ]] || fail "no message" ;;
    *) fail "exit code $status" ;;
  esac
  [[ $status != 2 || $arguments == *--gpus* || $before == *GPUS=0,2* ]] || fail "blames the caller"
  [[ -z $errors || ( $status == 2 && $arguments != *--json* ) ]] || fail "on the error output: $errors"
  [[ $status == 0 && $arguments != *--print* || $after == "$before" ]] || fail ".env was changed"
  [[ $output$errors != *[[:cntrl:]]* || ${output//$'\n'/}$errors != *[$'\e\a\r']* ]] || fail "passes escapes on"
  if compgen -G "$work/.preflight.*" > /dev/null || compgen -G "$host/clone/.env.*" > /dev/null; then fail "leaves temporary files"; fi
  [[ $arguments != *--json* ]] || cp "$host/out" "$work/json/$number"
  ends[$status]=$((${ends[$status]:-0} + 1))
  passed=$((passed + 1))
done
if ! output=$(python3 - "$work/json" 2>&1 <<'PYTHON'
import json, os, sys
for name in os.listdir(sys.argv[1]):
    with open(os.path.join(sys.argv[1], name), "rb") as file:
        text = file.read()
    try:
        report = json.loads(text.decode("utf-8"))
    except ValueError as error:
        sys.exit(f"case {name}: {error}: {text!r}")
    assert report["ready"] != any(f["severity"] == "error" for f in report["findings"]), (name, report)
PYTHON
); then name="JSON" && fail "is not valid"; fi
if [[ -e /tmp/owned ]]; then fail "runs what programs print"; fi
echo "ends: ${ends[0]} ready, ${ends[2]} wrong usage, ${ends[3]} not fit"
finish_tests
