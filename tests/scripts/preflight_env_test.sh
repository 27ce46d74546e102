#!/usr/bin/env bash
# shellcheck disable=SC2016,SC2059 # for Compose and the stand-ins; lines as printf has them
# Tests how scripts/preflight handles .env: it reads what Compose reads, and keeps the user's lines. Uses Compose if
# this machine has it, otherwise a stand-in that repeats the request.
set -euo pipefail
# shellcheck source=preflight_host.bash
source "$(dirname "${BASH_SOURCE[0]}")/preflight_host.bash"

chosen_image() { # the image in the report
  python3 -c 'import json, sys; print(json.load(sys.stdin)["image"])' <<< "$output" 2> /dev/null || echo "no JSON"
}
env_is() { # text, in printf's format
  local got
  got=$(cat "$host/clone/.env"; echo .)
  printf -v want "$1"
  equal "$got" "$want."
}
finds() { if grep -q "\"code\": \"$1\"" <<< "$output"; then pass; else fail "no finding $1"; fi; }

# ---- reading ---------------------------------------------------------------------------------------------------------

# What Compose 2.26 and 2.40 read: the lines in printf's format; then the image, or - if preflight must refuse them;
# then the result of preflight without Compose, which may refuse more.
readings=(
  'BASE_IMAGE=my/torch:1|my/torch:1|my/torch:1'
  'BASE_IMAGE=my/torch:1 # mine|my/torch:1|my/torch:1'
  'BASE_IMAGE="my/torch:1" # mine|my/torch:1|my/torch:1'
  "BASE_IMAGE='my/torch:1' # mine|my/torch:1|my/torch:1"
  'export BASE_IMAGE=my/torch:1|my/torch:1|my/torch:1'
  '  BASE_IMAGE = my/torch:1  |my/torch:1|my/torch:1'
  'BASE_IMAGE: my/torch:1|my/torch:1|my/torch:1'
  '\xef\xbb\xbfBASE_IMAGE=my/torch:1|my/torch:1|my/torch:1'
  '# mine\r\nBASE_IMAGE=my/torch:1\r|my/torch:1|my/torch:1'
  'BASE_IMAGE="my/torch:1"\r|my/torch:1|my/torch:1'
  'BASE_IMAGE=other:1\nBASE_IMAGE=my/torch:1|my/torch:1|my/torch:1'
  'ARGS=--model ${X:-resnet}\nBASE_IMAGE=my/torch:1|my/torch:1|my/torch:1'
  'TAG=1\nBASE_IMAGE=my/torch:${TAG}|my/torch:1|-'
  'BASE_IMAGE=${NOPE:-my/torch:1}|my/torch:1|-'
  "ARGS='\nBASE_IMAGE=other:1\n'\nBASE_IMAGE=my/torch:1|my/torch:1|-"
  'BASE_IMAGE="my/torch\\x3a1"|-|-'
  'BASE_IMAGE=my/torch:1"|-|-'
  'BASE_IMAGE="my/torch:1|-|-'
  'BASE_IMAGE=my/torch:1#mine|-|-'
  'BASE_IMAGE=my torch|-|-'
  '0!=|-|-'
)
real=$(type -P docker || true)
[[ -n $real ]] && "$real" compose version > /dev/null 2>&1 || real=""
[[ -n $real ]] || echo "skipped: reading by a real Compose, which this machine has not"
for reading in "${readings[@]}"; do
  IFS='|' read -r lines with_compose without <<< "$reading"
  host "without Compose: $lines"
  printf "$lines\n" > "$host/clone/.env"
  rm "$host/compose"
  preflight --json
  if [[ $without == - ]]; then
    if [[ $output == *'"env-unclear"'* || $output == *'"usage"'* ]]; then pass; else fail "not refused"; fi
  else exits 3; equal "$(chosen_image)" "$without"; fi
  [[ -n $real ]] || continue
  host "Compose: $lines"
  printf "$lines\n" > "$host/clone/.env"
  mv "$host/bin/docker" "$host/bin/answers"
  stand_in docker "if [[ \$1 == compose ]]; then exec '$real' \"\$@\"; else exec answers \"\$@\"; fi"
  with=(DOCKER_CONFIG="${DOCKER_CONFIG:-$HOME/.docker}")
  preflight --json
  if [[ $with_compose == - ]]; then
    if [[ $status != 0 ]]; then pass; else fail "not refused"; fi
    equal "$(cat "$host/clone/.env")" "$(printf "$lines\n")"
  else exits 0; equal "$(chosen_image)" "$with_compose"; fi
done

host "Compose is asked without this shell's variables"; cards "${two[@]}"; echo GPUS=1 > "$host/clone/.env"
with=(COMPOSE_FILE=other.yml); preflight; warns env-overridden; says "COMPOSE_FILE=other.yml in this shell wins"
host "an empty line of the user's would win"; echo BASE_IMAGE= > "$host/clone/.env"; preflight; exits 3; says "error \[env-overridden\]"
env_is 'BASE_IMAGE=\n'
host "Compose cannot read the lines"; echo "A=1" > "$host/clone/.env"; mv "$host/bin/docker" "$host/bin/answers"
stand_in docker 'if [[ "$1 $2" != "compose --project-directory" ]]; then exec answers "$@"; fi
  echo "failed to read $5: line 1: unexpected character" >&2; exit 15'
preflight; exits 3; says "error \[env-not-read\].*\.env: line 1: unexpected"; env_is 'A=1\n'
host "Compose ends with 0 and says nothing"; mv "$host/bin/docker" "$host/bin/answers"
stand_in docker 'if [[ "$1 $2" != "compose --project-directory" ]]; then exec answers "$@"; fi'; preflight; refuses env-not-read
host "Compose reads no .env at all"; with=(COMPOSE_DISABLE_ENV_FILE=1); preflight; warns env-unused
host "Compose files of the user's"; echo COMPOSE_FILE=docker-compose.yml > "$host/clone/.env"; preflight; warns env-differs
preflight --json; finds env-differs
equal "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["compose_files"])' <<< "$output")" docker-compose.yml

# ---- not regular files -----------------------------------------------------------------------------------------------

host "a symbolic link"; echo A=1 > "$host/clone/elsewhere"; ln -s elsewhere "$host/clone/.env"; preflight; exits 3
says "error \[env-symlink\]"; if [[ -L $host/clone/.env ]]; then pass; else fail "cut the link"; fi
host "a folder"; mkdir "$host/clone/.env"; preflight; exits 3; says "error \[env-kind\]"
host "a named pipe"; mkfifo "$host/clone/.env"; preflight; exits 3; says "error \[env-kind\]"
host "UTF-16"; printf '\xff\xfeA\0=\0001\0\n\0' > "$host/clone/.env"; preflight; exits 3; says "error \[env-encoding\]"
host "a block without an end"; preflight; sed -i '/end of the block/d' "$host/clone/.env"; echo MINE=1 >> "$host/clone/.env"
preflight; exits 3; says "error \[env-block\]"; writes MINE=1
host "a folder that cannot be written"; rm "$work/tools/mktemp"
stand_in mktemp '[[ $1 == -d ]] || { echo "Read-only file system" >&2; exit 1; }; mkdir "$2.x"; echo "$2.x"'
preflight; refuses write-fails; says "Read-only file system"; rm -rf "$work"/.preflight.*
ln -s "$(type -P mktemp)" "$work/tools/mktemp"
host "mv fails"; rm "$work/tools/mv"; stand_in mv 'echo "No space left" >&2; exit 1'; preflight; refuses write-fails; says "No space left"
if compgen -G "$host/clone/.env.*" > /dev/null; then fail "leaves its temporary file"; else pass; fi
ln -s "$(type -P mv)" "$work/tools/mv"
host "runs is a file"; touch "$host/clone/runs"; preflight; refuses write-fails; says "/runs cannot be written"
if [[ $EUID != 0 ]]; then
  host "a file that may not be written"; echo A=1 > "$host/clone/.env"; chmod 444 "$host/clone/.env"; preflight; exits 3
  says "error \[write-fails\]"
fi

# ---- writing ---------------------------------------------------------------------------------------------------------

block="# --- written by scripts/preflight; lines of your own go below the block, where they win ---
BASE_IMAGE=pytorch/pytorch:$new-devel
RUNTIME_IMAGE=pytorch/pytorch:$new-runtime
COMPOSE_FILE=$cpu_files
HOST_UID=$EUID
HOST_GID=$(id -g)
GPUS=none
# --- end of the block ---"
host "no file"; preflight; exits 0; env_is "$block\n"; equal "$(stat -c %a "$host/clone/.env")" 644
host "the user's lines, their order and their ends"
printf '# mine\r\n\r\nSHM_SIZE=8g\r\nTOKEN='"'"'a b'"'"' # x\r\nlast=1' > "$host/clone/.env"; preflight; exits 0
mine="# mine\r\n\r\nSHM_SIZE=8g\r\nTOKEN='a b' # x\r\nlast=1\n"
env_is "$block\n$mine"; preflight; env_is "$block\n$mine"
host "lines in front of the block"; printf "A=1\n$block\nB=2\n" > "$host/clone/.env"; sed -i s/GPUS=none/GPUS=all/ "$host/clone/.env"
preflight; exits 0; env_is "A=1\n$block\nB=2\n"
host "a block that an editor gave CRLF"; printf "${block//$'\n'/\\r\\n}\r\nB=2\r\n" > "$host/clone/.env"; preflight; exits 0
env_is "$block\nB=2\r\n"
host "permissions and owner"; echo A=1 > "$host/clone/.env"; chmod 600 "$host/clone/.env"
[[ $EUID != 0 ]] || chown 1234:1235 "$host/clone/.env"
before=$(stat -c '%a %u:%g' "$host/clone/.env"); preflight; exits 0; writes A=1; equal "$(stat -c '%a %u:%g' "$host/clone/.env")" "$before"
host "--print writes nothing"; echo A=1 > "$host/clone/.env"; preflight --print; exits 0; env_is 'A=1\n'
equal "$(ls -A "$host/clone")" "$(printf '.env\nscripts')"

finish_tests
