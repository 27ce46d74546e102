#!/usr/bin/env bash
# Tests `scripts/lint staged` and the hook that calls it in a temporary repository, with linters that refuse the word
# "bad".
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "FAILED: $1"; cat log; exit 1; }

git init -q .
git config user.name tester
git config user.email tester@localhost
git config core.hooksPath .githooks
mkdir -p .ci tests scripts .githooks build/bin src .github/workflows
cp "$source_dir/scripts/lint" scripts/
cp "$source_dir/.githooks/pre-commit" .githooks/
echo /build/ > .gitignore
for tool in clang-format shellcheck actionlint; do
  cat > "build/bin/$tool" <<'TOOL'
#!/bin/sh
for file; do
  case $file in -*) continue ;; esac
  echo "${0##*/} $file"
  ! grep bad "$file" || exit 1
done
TOOL
  chmod +x "build/bin/$tool"
done
accepts() { git commit -qm "$1" > log 2>&1 || fail "refused: $1"; }
refuses() { ! git commit -qm "$1" > log 2>&1 || fail "accepted: $1"; }
log_has() { grep -qxF -- "$1" log || fail "the log lacks '$1'"; }

git add .
accepts "the scripts themselves"
log_has "shellcheck scripts/lint"
log_has "shellcheck .githooks/pre-commit"

echo good > src/a.cpp
echo bad > src/not_staged.cpp
git add src/a.cpp
echo bad > src/a.cpp # after it was staged
accepts "what is staged is good"
log_has "clang-format src/a.cpp"
log_has "[lint] shellcheck over 0 scripts"

git add src/a.cpp
echo good > src/a.cpp
refuses "what is staged is bad"
log_has "clang-format src/a.cpp"
git add src/a.cpp

printf '%s\n' '#!/bin/sh' 'echo bad' > scripts/tool
git add scripts/tool
refuses "a script is bad"
log_has "shellcheck scripts/tool"
git rm -qf scripts/tool

echo "on: bad" > .github/workflows/ci.yml
git add .github
refuses "a workflow is bad"
log_has "actionlint .github/workflows/ci.yml"
echo "on: push" > .github/workflows/ci.yml
git commit -qm "a file named on the command line" .github/workflows/ci.yml > log 2>&1 || fail "refused a file named on the command line"
log_has "actionlint .github/workflows/ci.yml"

echo 'fmt::print("x");' > src/b.cpp
git add src/b.cpp
refuses "unchecked output"
git rm -qf src/b.cpp

printf '%s\n' 'struct A;' 'inline std::string text_of(const A& a) { return a.text; }' 'int text_of(int a);' > src/a.h
git add src/a.h
accepts "overloads"
echo 'std::vector<int> text_of(const A& other, double scale = 1);' > src/b.h
git add src/b.h
accepts "another overload"
echo 'std::vector<int> text_of(const A& other);' > src/b.h
git add src/b.h
refuses "a function that is declared twice"
log_has "text_of(const A&)"
git rm -qf src/b.h

git rm -q src/a.cpp
accepts "a file that is deleted"
echo passed
