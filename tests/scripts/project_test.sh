#!/usr/bin/env bash
# Tests `scripts/project new` and `rename`: which names are accepted, what the project contains, and that a failure
# leaves nothing behind.
set -euo pipefail
# shellcheck source=project.bash
source "$(dirname "${BASH_SOURCE[0]}")/project.bash"
template=$work/template
make_template "$template"
mkdir "$work/here"

# ---- what is refused -------------------------------------------------------------------------------------------------

refused_name() { # name, part of the message
  project 2 "$template" new "$1" "$work/here/project"
  says "NAME=$1: "
  says "$2"
  [[ -z $(ls -A "$work/here") ]] || fail "$1 left something behind"
}
for name in Defect 9lives _defect defect_ two__words defect-detector 'a b' "$(printf 'a%.0s' {1..33})"; do
  refused_name "$name" "small letters"
done
for name in std class co_await lambda; do refused_name "$name" "reserves"; done
for name in index signal; do refused_name "$name" "C library"; done
for name in trainyard torch loader test data_loader; do refused_name "$name" "uses this word"; done

mkdir "$work/full" && touch "$work/full/file"
project 2 "$template" new defect_detector "$work/full"
says "exists"
project 2 "$template" new defect_detector "$work/full/file"
says "exists"
project 2 "$template" new defect_detector "$work/nowhere/project"
says "there is no folder $work/nowhere"
project 2 "$template" new defect_detector
says "make new NAME=defect_detector DEST=../defect_detector"
project 2 "$template" old
says "scripts/project new NAME DEST"
GIT_CONFIG_GLOBAL=/dev/null HOME=$work project 2 "$template" new defect_detector "$work/here/project"
says "user.name"
mkdir -p "$work/unpacked/scripts" && cp "$template/scripts/project" "$work/unpacked/scripts"
project 2 "$work/unpacked" new defect_detector "$work/here/project"
says "not a git clone"

# ---- failures leave nothing behind -----------------------------------------------------------------------------------

mkdir -p "$template/build/bin"
# shellcheck disable=SC2016 # its own variable
printf '#!/bin/sh\nkill -INT $PPID; sleep 5\n' > "$template/build/bin/clang-format"
chmod +x "$template/build/bin/clang-format"
project 130 "$template" new defect_detector "$work/here/project"
says "interrupted"
before=$(git -C "$template" rev-parse HEAD)
project 130 "$template" rename defect_detector
[[ $(git -C "$template" rev-parse HEAD) == "$before" && -z $(git -C "$template" status --porcelain) ]] ||
  fail "an interrupted renaming changed the clone"
rm -r "$template/build/bin"

mkdir "$work/hooks" && printf '#!/bin/sh\necho no >&2; exit 1\n' > "$work/hooks/pre-commit" && chmod +x "$work/hooks/pre-commit"
git config --global core.hooksPath "$work/hooks"
project 1 "$template" new defect_detector "$work/here/project"
says "git commit failed: no"
git config --global --unset core.hooksPath
[[ -z $(ls -A "$work/here") ]] || fail "a failure left something behind"

# ---- a new project ---------------------------------------------------------------------------------------------------

formatter=$repository/build/bin/clang-format
[[ ! -x $formatter ]] || { mkdir "$template/build/bin" && ln -s "$formatter" "$template/build/bin/"; }
echo "not committed" >> "$template/LICENSE"
mkdir "$work/here/project" # allowed if it is empty
project 0 "$template" new defect_detector "$work/here/project"
says "uncommitted changes of this clone are not taken"
git -C "$template" checkout --quiet LICENSE
made=$work/here/project
[[ $(ls -A "$work/here") == project ]] || fail "left something beside the project"
[[ $(git -C "$made" rev-list --count HEAD) == 1 && -z $(git -C "$made" status --porcelain --ignored) ]] || fail "no clean first commit"
[[ $(git -C "$made" log -1 --format=%s) == "Start defect_detector from trainyard "* ]] || fail "the commit's subject"

git -C "$made" grep -il trainyard > "$work/said" || true
[[ $(cat "$work/said") == $'LICENSE\nREADME.md' ]] || fail "the old name remains elsewhere than in the attribution"
! git -C "$made" ls-files | grep -i trainyard > "$work/said" || fail "the old name remains in a path"
cmp "$made/LICENSE" "$template/LICENSE" || fail "the licence has changed"
expect "namespace" grep -q '^namespace defect_detector {' "$made/src/util/error.h"
expect "CMake's options" grep -q 'option(DEFECT_DETECTOR_TORCH' "$made/CMakeLists.txt"
expect "CMake's package" test -f "$made/cmake/DefectDetectorConfig.cmake.in"
# shellcheck disable=SC2016 # Compose's variable
expect "images and containers" grep -qF 'image: ${COMPOSE_PROJECT_NAME:-defect-detector}-dev:' "$made/docker-compose.yml"
expect "the same in the documents" grep -qF 'docker start -ai defect-detector-dev' "$made/docs/container.md"
expect "shared memory" grep -qF '"defect-detector-cache-{}-{}"' "$made/src/loader/cache_policy.cpp"
expect "scripts can be executed" test -x "$made/scripts/bootstrap"
expect "README is the project's own" grep -q '^# DefectDetector$' "$made/README.md"
[[ $(git -C "$made" config --file .upstream upstream.commit) == "$before" ]] || fail ".upstream has another commit"
[[ $(git -C "$made" config --file .upstream upstream.url) == "$template" ]] || fail ".upstream has another address"
make --directory="$made" --no-print-directory > "$work/said"
! grep -E '^(new|rename|bench)' "$work/said" || fail "targets of the template remain"
says "adopt "

# Nothing refers to what was left out.
(cd "$template" && git ls-files) | sed "s/Trainyard/DefectDetector/" | sort > "$work/all"
git -C "$made" ls-files | sort | comm -23 "$work/all" - | sed 's|^docs/\(.*\.md\)$|&\n(\1|' > "$work/left_out"
for file in benchmarks/compare_loaders tests/benchmarks/scaling_test.py docs/scaling.md scripts/project.d/left-out; do
  expect "$file is left out" grep -qxF "$file" "$work/left_out"
done
! git -C "$made" grep -nFf "$work/left_out" -- :!scripts/project > "$work/said" || fail "files that were left out are referred to"
for file in "$made"/docs/*.md "$made"/README.md; do
  mapfile -t links < <(grep -oE '\]\([^) #:]+[)#]' "$file" | sed 's/^..//; s/.$//')
  for link in "${links[@]}"; do
    [[ -e $(dirname "$file")/$link ]] || fail "${file#"$made"/} links to $link, which is not there"
  done
done
if [[ -x $formatter ]]; then
  (cd "$made" && find src tests examples -name '*.h' -o -name '*.cpp' -o -name '*.cu') | (cd "$made" && xargs "$formatter" --dry-run -Werror) \
    > "$work/said" 2>&1 || fail "clang-format would change something"
fi
project 2 "$made" new other_project "$work/here/other"
says "a project of its own already"

# ---- the same in place -----------------------------------------------------------------------------------------------

git clone --quiet "$template" "$work/clone"
[[ ! -x $formatter ]] || { mkdir -p "$work/clone/build" && cp -r "$template/build/bin" "$work/clone/build/"; }
echo change >> "$work/clone/Makefile"
project 2 "$work/clone" rename defect_detector
says " M Makefile"
git -C "$work/clone" checkout --quiet Makefile
echo mine > "$work/clone/notes"
project 0 "$work/clone" rename defect_detector
[[ $(git -C "$work/clone" rev-parse HEAD^) == "$before" ]] || fail "rename is not one commit after the last"
[[ $(git -C "$work/clone" status --porcelain) == "?? notes" ]] || fail "the renamed clone is not clean"
[[ $(git -C "$work/clone" rev-parse 'HEAD^{tree}') == "$(git -C "$made" rev-parse 'HEAD^{tree}')" ]] ||
  fail "rename makes other files than new"
echo passed
