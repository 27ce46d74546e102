#!/usr/bin/env bash
# Tests that a project created by scripts/project configures without LibTorch, and that its module util compiles and
# passes its tests.
set -euo pipefail
# shellcheck source=project.bash
source "$(dirname "${BASH_SOURCE[0]}")/project.bash"
PATH=$repository/build/bin:$PATH
for program in cmake ninja; do command -v $program > /dev/null || { echo "skipped: needs $program"; exit 77; }; done
make_template "$work/template"
project 0 "$work/template" new defect_detector "$work/made"
cd "$work/made"

expect "configures" cmake --preset release -DDEFECT_DETECTOR_TORCH=OFF
cd build/release
mapfile -t objects < <(ninja -t targets all | grep -oE \
  '^[^ ]*(defect_detector_base.dir/util/[a-z_]+|base_tests.dir/util/(json_text|nearest|printable|text_lines)_test)\.cpp\.o')
expect "compiles" ninja "${objects[@]}"
expect "links" g++ -o util_tests "${objects[@]}" -lgtest_main -lgmock -lgtest -lspdlog -lfmt -lz -pthread
expect "passes its tests" ./util_tests
for suite in JsonText NearestFirst Printable TextLines; do says " from $suite"; done
echo passed
