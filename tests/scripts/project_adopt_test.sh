#!/usr/bin/env bash
# Tests `scripts/project adopt`: which changes a project takes from its template, on a small stand-in of the tree.
set -euo pipefail
# shellcheck source=project.bash
source "$(dirname "${BASH_SOURCE[0]}")/project.bash"
template=$work/template mine=$work/mine

write() { # path in the template; text on standard input
  mkdir -p "$(dirname "$template/$1")" && cat > "$template/$1"
}
numbered() { for number in {1..20}; do echo "// line $number of $1 in trainyard"; done; }

start() { # Starts a case: creates a template and a project from it.
  echo "case: $1"
  rm -rf "$template" "$mine"
  git init --quiet "$template"
  printf 'project(trainyard VERSION 1)\n# template-only: begin\nadd_subdirectory(benchmarks)\n# template-only: end\n' | write CMakeLists.txt
  for file in src/a.cpp src/b.cpp cmake/TrainyardConfig.cmake.in benchmarks/measure.cpp; do numbered $file | write $file; done
  echo "Copyright: the Trainyard contributors" | write LICENSE
  echo "# Trainyard, its long story" | write README.md
  printf '# Trainyard\nmade from @origin@\n' | write scripts/project.d/README.md
  printf '# Changes\n## @version@ - @date@\n' | write scripts/project.d/CHANGELOG.md
  printf '/benchmarks/\n/scripts/project.d/\n' | write scripts/project.d/left-out
  cp -p "$repository/scripts/project" "$template/scripts"
  commit_all "$template" "Template"
  project 0 "$template" new defect_detector "$mine"
}
upstream() { # subject; sed expression, files...
  [[ $# == 1 ]] || (cd "$template" && sed -i "${@:2}")
  commit_all "$template" "$1"
}
edit() { # sed expression, files...
  (cd "$mine" && sed -i "$@") && commit_all "$mine" "Own change"
}
adopt() { project "$1" "$mine" adopt; }
at_upstream() {
  [[ $(git -C "$mine" config --file .upstream upstream.commit) == "$(git -C "$template" rev-parse HEAD)" ]] || fail ".upstream has another commit"
  [[ -z $(git -C "$mine" status --porcelain) ]] || fail "changes are left uncommitted"
}
has() { grep -qxF -- "$2" "$mine/$1" || fail "$1 has no line: $2"; }

start "nothing new"
adopt 0
says "nothing new: $template is still at"
[[ $(git -C "$mine" rev-list --count HEAD) == 1 ]] || fail "made a commit"

start "a renamed file that was edited elsewhere"
edit "2s/.*/mine/" cmake/DefectDetectorConfig.cmake.in
upstream "Improve Trainyard's package" "19s/.*/better in Trainyard, TRAINYARD and trainyard-dev/" cmake/TrainyardConfig.cmake.in
adopt 0
says "Improve Trainyard's package"
says "cmake/DefectDetectorConfig.cmake.in | 2"
has cmake/DefectDetectorConfig.cmake.in mine
has cmake/DefectDetectorConfig.cmake.in "better in DefectDetector, DEFECT_DETECTOR and defect-detector-dev"
at_upstream
[[ $(git -C "$mine" rev-list --count HEAD) == 3 ]] || fail "not one commit"
adopt 0
says "nothing new"
upstream "Improve it again" "18s/.*/better still/" cmake/TrainyardConfig.cmake.in
adopt 0
has cmake/DefectDetectorConfig.cmake.in "better still"
at_upstream

start "a conflict"
edit "5s/.*/mine/" src/a.cpp
before=$(git -C "$mine" rev-parse HEAD)
upstream "Change the same line" "5s/.*/theirs/; 1s/.*/first/" src/a.cpp src/b.cpp
adopt 1
says "conflicts in
  src/a.cpp"
has src/a.cpp "=======" # with both sides
has src/b.cpp first
adopt 2
says "uncommitted changes"
git -C "$mine" cherry-pick --abort
[[ $(git -C "$mine" rev-parse HEAD) == "$before" && -z $(git -C "$mine" status --porcelain) ]] || fail "aborting does not return"
adopt 1
sed -i '/^<<<<<<</d; /^=======/,/^>>>>>>>/d' "$mine/src/a.cpp"
git -C "$mine" add src/a.cpp
git -C "$mine" -c core.editor=true cherry-pick --continue > "$work/said"
has src/a.cpp mine
has src/a.cpp first
at_upstream

start "files that were deleted"
git -C "$mine" rm --quiet src/b.cpp && commit_all "$mine" "Delete"
upstream "Change both" "3s/.*/theirs/" src/a.cpp src/b.cpp
adopt 0
says "src/b.cpp: you deleted it"
has src/a.cpp theirs
[[ ! -e $mine/src/b.cpp ]] || fail "the deleted file is back"
at_upstream
edit "7s/.*/mine/" src/a.cpp
upstream "Change both again" "7s/.*/theirs, too/" src/a.cpp src/b.cpp
adopt 1
says "src/b.cpp: you deleted it"
says "conflicts in
  src/a.cpp
resolve"

start "files that were moved"
git -C "$mine" mv src/b.cpp src/moved.cpp && commit_all "$mine" "Move"
upstream "Change it" "3s/.*/theirs/" src/b.cpp
adopt 0
has src/moved.cpp theirs
[[ ! -e $mine/src/b.cpp ]] || fail "the moved file is back"

start "files and lines that are left out, and the README"
edit "1s/.*/# My project/" README.md
numbered "another" | write benchmarks/another.cpp
upstream "Change what is left out" "3s/.*/changed/" CMakeLists.txt benchmarks/measure.cpp scripts/project.d/README.md
adopt 0
has README.md "# My project"
[[ ! -e $mine/benchmarks && ! -e $mine/scripts/project.d ]] || fail "what is left out has come"
[[ $(cat "$mine/CMakeLists.txt") == "project(defect_detector VERSION 1)" ]] || fail "lines that are left out have come"
[[ $(git -C "$mine" show --format= --name-only HEAD) == .upstream ]] || fail "more than .upstream has changed"
at_upstream

start "new, renamed and deleted files"
echo "namespace trainyard {}" | write src/trainyard_new.cpp
git -C "$template" mv src/a.cpp src/renamed.cpp && git -C "$template" rm --quiet src/b.cpp
edit "2s/.*/mine/" src/a.cpp
upstream "Move files"
adopt 0
has src/defect_detector_new.cpp "namespace defect_detector {}"
has src/renamed.cpp mine
[[ ! -e $mine/src/a.cpp && ! -e $mine/src/b.cpp ]] || fail "files that upstream has moved or deleted remain"
at_upstream

start "the licence changes with the original"
upstream "A new year" "1s/.*/Copyright: the Trainyard contributors, since then/" LICENSE
adopt 0
has LICENSE "Copyright: the Trainyard contributors, since then"

start "a copy of the template, with a history of its own"
rm -rf "$mine"
git init --quiet "$mine"
git -C "$template" archive HEAD | tar -x -C "$mine"
commit_all "$mine" "Initial commit"
project 0 "$mine" rename defect_detector "$template"
upstream "Change it" "3s/.*/theirs in trainyard/" src/a.cpp
adopt 0
has src/a.cpp "theirs in defect_detector"
at_upstream

start "what it does not show to a terminal"
# shellcheck disable=SC2059 # an escape
upstream "$(printf 'Red \033[31m')" "3s/.*/theirs/" src/a.cpp
adopt 0
says "Red ?[31m"

start "links that could lead out of the project"
ln -s / "$template/defect_detector" && mkdir "$template/trainyard" && numbered x | write trainyard/from_upstream
upstream "Add a link"
adopt 1
says "defect_detector of $(git -C "$template" rev-parse HEAD) is a symbolic link"
[[ ! -e /from_upstream ]] || fail "wrote outside"

start "refusals"
project 2 "$template" adopt
says ".upstream is missing"
git -C "$mine" config --file .upstream upstream.commit 1234567890123456789012345678901234567890
commit_all "$mine" "A wrong commit"
upstream "Change it" "3s/.*/theirs/" src/a.cpp
adopt 1
says "$template has no commit 1234567890123456789012345678901234567890"
git -C "$mine" config --file .upstream upstream.url "$mine"
commit_all "$mine" "A wrong address"
adopt 2
says "$mine is the project defect_detector itself"
git -C "$mine" config --file .upstream upstream.url "$work/nowhere"
commit_all "$mine" "No address"
adopt 1
says "git fetch failed"
git -C "$template" remote add origin https://name:secret@example.com/trainyard.git
project 0 "$template" new other_project "$work/other"
[[ $(git -C "$work/other" config --file .upstream upstream.url) == https://example.com/trainyard.git ]] || fail "a password is in .upstream"
expect "the README links to it" grep -qF "made from [Trainyard](https://example.com/trainyard.git)" "$work/other/README.md"
echo passed
