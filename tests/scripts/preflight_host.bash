# shellcheck shell=bash disable=SC2016 # the stand-ins read their own variables
# Shared by the tests of scripts/preflight: a simulated host, on which preflight finds only stand-ins for nvidia-smi,
# docker, uname, df and the rest, and assertions.
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 name="" output=""
# The host's other tools; docker, nvidia-smi and podman of this machine are hidden.
mkdir "$work/tools"
for tool in bash env cat cut grep sed rm mkdir mktemp chmod chown stat mv sleep; do
  ln -s "$(type -P "$tool")" "$work/tools/$tool"
done

# ---- a host ----------------------------------------------------------------------------------------------------------

# Starts a new host: Linux, Docker with the NVIDIA toolkit and free disk space, no card. Files in $host change it.
host() {
  name=$1
  rm -rf "$work/host"
  host=$work/host
  mkdir -p "$host/bin" "$host/clone/scripts" "$host/root/var/lib/docker"
  cp -r "$source_dir"/scripts/{preflight,preflight.d,images.tsv} "$host/clone/scripts/"
  echo "Linux 6.8.0-45-generic x86_64" > "$host/uname"
  # shellcheck disable=SC2119
  info
  echo 2.36.0 > "$host/compose"
  echo "500 200" > "$host/disk"
  stand_in uname 'cat "$HOST/uname"'
  stand_in df 'read -r total free < "$HOST/disk"
    printf "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a %d 0 %d 1%% /\n" $((total*1048576)) $((free*1048576))'
  stand_in docker 'case "$1 ${2:-}" in
    "--version "*) echo "Docker version 28.2.2, build e6534b4" ;;
    "info --format")
      if [[ $3 == *DiscoveredDevices* ]]; then cat "$HOST/cdi" 2>/dev/null || echo null; exit 0; fi
      if [[ -f $HOST/docker-error ]]; then cat "$HOST/docker-error" >&2; exit 1; fi
      cat "$HOST/docker-info" ;;
    "version --format") echo Engine ;;
    "context inspect") cat "$HOST/endpoint" 2>/dev/null || echo unix:///var/run/docker.sock ;;
    "compose version") [[ -f $HOST/compose ]] || { echo "docker: unknown command" >&2; exit 1; }; cat "$HOST/compose" ;;
    "compose --project-directory") shift; compose_config "$@" ;;
    "image inspect") grep -qx -- "$5" "$HOST/images" 2>/dev/null || exit 1; echo sha256:0123456789abcdef ;;
    *) echo "unexpected: docker $*" >&2; exit 99 ;; esac'
}

# Docker's facts; arguments replace the defaults.
# shellcheck disable=SC2120 # called by the tests
info() { # KEY=VALUE...
  local fact
  declare -A facts=([errors]="" [root]=/var/lib/docker [proxy]="" [system]="Ubuntu 24.04"
    [runtimes]='{"nvidia":{"path":"nvidia-container-runtime"},"runc":{"path":"runc"}}'
    [security]="name=apparmor name=seccomp,profile=builtin name=cgroupns " [version]=28.2.2)
  for fact in "$@"; do facts[${fact%%=*}]=${fact#*=}; done
  for fact in errors root proxy system runtimes security version; do
    printf '\npreflight:%s=%s' "$fact" "${facts[$fact]}"
  done > "$host/docker-info"
  echo >> "$host/docker-info"
}

# Replaces `docker compose config` for scripts/preflight: KEY=VALUE with or without quotes; the caller's variables win.
compose_config() { # --project-directory DIR --env-file FILE -f FILE config --format json
  local line key values=() isset
  declare -A value=()
  while IFS= read -r line; do
    line=${line#export }
    [[ $line =~ ^\ *([A-Z_]+)=(.*)$ ]] || continue
    key=${BASH_REMATCH[1]} line=${BASH_REMATCH[2]%$'\r'}
    line=${line%% #*} line=${line#[\"\']} line=${line%[\"\']}
    value[$key]=$line
  done < "$4"
  printf '{\n  "services": {\n    "ask": {\n      "labels": {\n'
  while IFS= read -r line; do
    [[ $line =~ ^\ *([A-Z_]+):\ \"\$ ]] || continue
    key=${BASH_REMATCH[1]} isset=""
    [[ ! -v value[$key] ]] || isset="set"
    [[ ! -v $key ]] || { isset="set" value[$key]=${!key}; }
    values+=("        \"$key\": \"$isset=${value[$key]-}\"")
  done < "$6"
  printf '%s,\n' "${values[@]::${#values[@]}-1}"
  printf '%s\n' "${values[-1]}"
  printf '      }\n    }\n  }\n}\n'
}

stand_in() { # name, body: a stand-in
  { echo '#!/usr/bin/env bash'; declare -f compose_config; printf '%s\n' "$2"; } > "$host/bin/$1"
  chmod +x "$host/bin/$1"
}
# Defines cards as nvidia-smi lists them, with one driver.
cards() { # driver, "name|compute capability"...
  local driver=$1 i=0 card
  shift
  : > "$host/cards"
  for card in "$@"; do
    echo "$i, GPU-00000000-0000-0000-0000-00000000000$i, ${card%|*}, $driver, ${card#*|}" >> "$host/cards"
    i=$((i + 1))
  done
  stand_in nvidia-smi 'case "$1" in
    -L) cat "$HOST/list" ;;
    --query-gpu=*compute_cap)
      if [[ -f $HOST/no-compute-cap ]]; then echo "Field \"compute_cap\" is not a valid field to query."; exit 2; fi
      cat "$HOST/cards" ;;
    *) cut -d, -f1-4 "$HOST/cards" ;; esac'
}
gpu() { echo "GPU-00000000-0000-0000-0000-00000000000$1"; } # index
h100() { echo "$1, $(gpu "$1"), NVIDIA H100, 580.65.06, 9.0"; } # index: a row
smi_says() { stand_in nvidia-smi "printf '%s\n' \"$1\"; exit $2"; }
kernel() { echo "Linux $1 x86_64" > "$host/uname"; }

# ---- actions and assertions ------------------------------------------------------------------------------------------

preflight() { # arguments; sets status and output
  status=0
  output=$(cd "$host/clone" && env -i HOST="$host" PREFLIGHT_ROOT="$host/root" PATH="$host/bin:$work/tools" HOME="$host" \
    TMPDIR="$work" "${with[@]}" bash scripts/preflight "$@" 2>&1) || status=$?
  with=()
}
with=()

fail() {
  failed=$((failed + 1))
  printf 'FAILED %s: %s\n    %s\n' "$name" "$1" "${output//$'\n'/$'\n    '}"
}
pass() { passed=$((passed + 1)); }
says() { if grep -qiE -- "$1" <<< "$output"; then pass; else fail "does not say /$1/"; fi; }
silent_on() { if grep -qiE -- "$1" <<< "$output"; then fail "says /$1/"; else pass; fi; }
exits() { if [[ $status == "$1" ]]; then pass; else fail "exit code $status, not $1"; fi; }
writes() { # a whole line of .env
  if grep -qxF -- "$1" "$host/clone/.env" 2>/dev/null; then pass; else fail "no line '$1' in .env: $(cat "$host/clone/.env" 2>&1)"; fi
}
writes_nothing() { if [[ ! -e $host/clone/.env ]]; then pass; else fail "wrote .env"; fi; }
equal() { if [[ $1 == "$2" ]]; then pass; else fail "'$1' is not '$2'"; fi; }
takes() { # image, Compose files
  exits 0
  writes "BASE_IMAGE=pytorch/pytorch:$1-devel"
  writes "COMPOSE_FILE=${2:-docker-compose.yml}"
}
refuses() { # code of the finding
  exits 3
  says "error \[$1\]"
  says "what to do"
  writes_nothing
}
is_json() { # with a finding of this code
  if python3 -c 'import json, sys; d = json.load(sys.stdin); assert sys.argv[1] in [f["code"] for f in d["findings"]], d' \
    "$1" <<< "$output" 2> /dev/null; then pass; else fail "no JSON with the finding $1"; fi
}
warns() { exits 0; says "warning \[$1\]"; } # code of the finding
finish_tests() {
  echo "$passed passed, $failed failed"
  [[ $failed == 0 ]]
}

# shellcheck disable=SC2034 # for the tests
new=2.14.0-cuda13.0-cudnn9 old=2.14.0-cuda12.6-cudnn9 blackwell=2.10.0-cuda12.8-cudnn9
cpu_files=docker-compose.yml:docker-compose.cpu.yml
# shellcheck disable=SC2034
some_files=$cpu_files:docker-compose.gpus.yml
# shellcheck disable=SC2034
two=("580.65.06" "NVIDIA H100|9.0" "NVIDIA H100|9.0" "NVIDIA H100|9.0")
