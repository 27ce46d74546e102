# shellcheck shell=bash disable=SC2034,SC2154 # shared with the other parts
# Runs other programs: isolated, with a time limit, and without trusting their output. Provides call, said, has,
# printable and start_calls, and the traps on_exit and interrupted, so that every exit prints a message.

readonly time_limit=${PREFLIGHT_TIME_LIMIT:-60} output_limit=1024 # seconds, KiB
scratch="" running="" pending="" stopped_at=""
out="" err="" status="" shown=""

# Bash recognizes printable characters by its locale. Other programs run in English, with a decimal point.
{ LC_ALL=C.UTF-8; } 2> /dev/null
[[ $(printf '\xc3\xa9') == ? ]] || LC_ALL=C

has() { type -P "$1" > /dev/null; }

# Sets shown: text from outside as one line that is safe in a terminal and in JSON.
printable() { # text
  local text=$1 escaped="" i character code
  [[ ${#text} -le 1200 ]] || text=${text:0:1200}...
  text=${text//[$'\t\r\n']/ }
  while [[ $text == *"  "* ]]; do text=${text//  / }; done
  if [[ $text == *[![:print:]]* ]]; then
    for ((i = 0; i < ${#text}; i++)); do
      character=${text:i:1}
      if [[ $character != [[:print:]] ]]; then
        printf -v code %d "'$character"
        printf -v character '\\x%02x' $((code < 0 ? code + 256 : code))
      fi
      escaped+=$character
    done
    text=$escaped
  fi
  text=${text# }
  shown=${text% }
}

# Runs a program with empty standard input. Sets out, err and status: its exit code, or "hung" after the time limit. A
# hung program is left behind, because one that waits for a dead driver or disk cannot even be killed.
call() { # command...
  local finished
  exec {finished}<> <(:)
  set -m
  {
    status=0
    (ulimit -f $output_limit; LC_ALL=C exec "$@") || status=$?
    echo "$status" >&"$finished"
  } < /dev/null > "$scratch/out" 2> "$scratch/err" &
  running=$!
  set +m
  disown
  if ! read -r -t "$time_limit" -u "$finished" status; then
    status=hung
    kill -KILL -- "-$running" 2> /dev/null || true
  fi
  running=""
  exec {finished}>&-
  { out=$(< "$scratch/out") err=$(< "$scratch/err"); } 2> /dev/null # bash warns about NULs
}

said() { # sets shown to all output of the last program
  printable "$err $out"
  if [[ $status == hung ]]; then shown="no answer within $time_limit s${shown:+, after: $shown}"
  else shown="${shown:-nothing} (exit code $status)"; fi
}

start_calls() {
  local tool missing="" place=${TMPDIR:-/tmp}
  [[ $time_limit =~ ^[1-9][0-9]{0,4}$ ]] || usage "PREFLIGHT_TIME_LIMIT=$time_limit is not a number of seconds"
  for tool in uname df stat mktemp mkdir chmod chown mv rm env; do has "$tool" || missing+=" $tool"; done
  if [[ -n $missing ]]; then
    finding error host-tools "this host lacks:$missing" "install coreutils, or correct PATH"
    finish 3
  fi
  # Docker from snap cannot see /tmp.
  [[ $(type -P docker) != /snap/* ]] || place=$project
  if ! scratch=$(mktemp -d "$place/.preflight.XXXXXX" 2> /dev/null) || [[ ! -d $scratch ]]; then
    scratch=""
    finding error host-temporary "no temporary folder can be made in $place" \
      "free space there, or set TMPDIR to another folder"
    finish 3
  fi
}

on_exit() {
  local code=$?
  trap - EXIT ERR
  set +eu
  [[ -z $running ]] || kill -KILL -- "-$running" 2> /dev/null
  [[ -z $scratch && -z $pending ]] || rm -rf ${scratch:+"$scratch"} ${pending:+"$pending"}
  $reported && exit "$code"
  finding error internal "scripts/preflight stopped at ${stopped_at:-an unknown line} with exit code $code" \
    "this is a fault of scripts/preflight; what it should have done by hand: cp .env.example .env, and edit it"
  finish 1
}
interrupted() { # exit code
  finding error interrupted "stopped by a signal" "run scripts/preflight again"
  finish "$1"
}
