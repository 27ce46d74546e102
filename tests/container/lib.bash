# shellcheck shell=bash disable=SC2154 # work and image, which run sets
# Shared by the container tests: a copy of the clone to work on, compose with the tests' settings, and assertions.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_dir=$(cd "$here/../.." && pwd)
passed=0 failed=0 skipped=0 case_name=""

say() { printf '[container] %s\n' "$*"; }
pass() { passed=$((passed + 1)); }
skip() { skipped=$((skipped + 1)); say "skipped $case_name: $1"; }
fail() { # message, log to print
  failed=$((failed + 1))
  say "FAILED $case_name: $1"
  [[ -z ${2:-} ]] || tail -n 25 "$2" | sed 's/^/    /'
}

# Commands have a time limit and no terminal to wait for.
bounded_stdin() { timeout --foreground --kill-after 30 1500 "$@"; }
bounded() { bounded_stdin "$@" < /dev/null; }

expect() { # description, command that must succeed
  local what=$1
  shift
  if "$@" > "$work/expect.log" 2>&1; then pass; else fail "$what" "$work/expect.log"; fi
}
equal() { [[ $1 == "$2" ]] || { echo "'$1' is not '$2'"; return 1; }; }
says() { grep -qE -- "$1" "$work/log" || { echo "the log has no /$1/:"; tail -n 20 "$work/log"; return 1; }; }
exits() { # code, command...; the output goes to the log
  local code=$1 status=0
  shift
  "$@" > "$work/log" 2>&1 || status=$?
  if [[ $status == "$code" ]]; then pass; else fail "exit code $status, not $code, of: $*" "$work/log"; fi
}

# Copies the clone as git sees it, owned by this user ID; the tests mount, change and train in the copy.
lay_out() { # uid
  rm -rf "$work/clone"
  mkdir -p "$work/clone"
  git -c safe.directory='*' -C "$source_dir" ls-files -z --cached --others --exclude-standard |
    (cd "$source_dir" && xargs -0 cp --parents -t "$work/clone")
  mkdir -p "$work/clone"/{build,data,runs}
  [[ $(id -u) != 0 ]] || chown -R "$1:$1" "$work/clone"
  export HOST_UID=$1 HOST_GID=$1
}

# All settings come from here: the caller's environment and .env do not affect the tests.
use_files() { # Compose files besides docker-compose.yml
  local IFS=:
  export COMPOSE_FILE=docker-compose.yml${1+:$*}:$here/network.yml
}
compose() { (cd "$work/clone" && bounded docker compose "$@"); }
in_shell() { compose run --rm -T shell "$@"; }
up() { compose up --no-log-prefix --abort-on-container-exit --exit-code-from train train; }
# Retries builds, which download packages: mirrors fail at times.
build_image() { "$@" || { sleep 10; "$@"; } || { sleep 30; "$@"; }; }

# Runs a container with the clone mounted as plain Docker does it; arguments of docker run, then the command after --.
plain() {
  local arguments=()
  while [[ $1 != -- ]]; do arguments+=("$1"); shift; done
  shift
  # clean_up finds containers by this label.
  bounded docker run --rm --init --network none --label com.docker.compose.project=trainyard-test -v "$work/clone":/workspace "${arguments[@]}" "$image" "$@"
}
