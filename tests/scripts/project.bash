# Shared by the tests of scripts/project: a temporary folder, a git identity, checks. Sourced.
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
{ command -v git && git -C "$repository" rev-parse HEAD; } > /dev/null 2>&1 || { echo "skipped: needs git and a clone"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_NOSYSTEM=1
git config --global user.name Tester
git config --global user.email tester@example.com
git config --global init.defaultBranch main

fail() { echo "FAILED: $1"; cat "$work/said"; exit 1; }
# Runs scripts/project of a clone; its output goes to $work/said.
project() { # exit code, clone, words...
  local expected=$1 clone=$2 status=0
  shift 2
  "$clone/scripts/project" "$@" > "$work/said" 2>&1 < /dev/null || status=$?
  [[ $status == "$expected" ]] || fail "scripts/project $*: exit code $status, not $expected"
}
says() { grep -qF -- "$1" "$work/said" || fail "did not say: $1"; }
expect() { # description, command...
  "${@:2}" > "$work/said" 2>&1 || fail "$1"
}
commit_all() { # clone, message
  git -C "$1" add --all && git -C "$1" commit --quiet -m "$2"
}

# Copies this clone, including uncommitted changes, into one commit in the folder $1.
make_template() {
  local file
  git init --quiet "$1"
  (cd "$repository" && git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [[ ! -e $file ]] || printf '%s\0' "$file"; done |
    tar --create --null --files-from=-) | tar --extract --directory="$1"
  commit_all "$1" "Template"
}
