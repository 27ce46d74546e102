#!/usr/bin/env bash
# Tests .devcontainer's initializeCommand: on Linux by running it, for Windows by checking its text. VS Code runs the
# array's path as it is on Linux, and the file of that name with .cmd on Windows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
fail() { echo "FAILED: $1"; exit 1; }

command=$(python3 -c 'import json
command = json.load(open(".devcontainer/devcontainer.json"))["initializeCommand"]
assert isinstance(command, list) and len(command) == 1, command
print(command[0])') || fail "initializeCommand is not an array of one path"
[[ -x $command ]] || fail "$command is no program"
[[ $("./$command" --help) == *"Exit codes"* ]] || fail "$command --help says nothing"

twin=$command.cmd
python3 - "$twin" <<'PYTHON' || fail "$twin is not what cmd can run"
import re, sys
data = open(sys.argv[1], "rb").read()
lines = data.decode("ascii").split("\r\n")
assert lines.pop() == "" and not any("\n" in line or "\r" in line for line in lines), "every line ends with CRLF"
assert lines[0] == "@echo off" and lines[-1] == "exit /b 3", "begins and ends as it should"
for line in lines[1:-1]:
    # cmd would interpret these as operators, variables or blocks.
    assert re.fullmatch(r"(rem|echo) [^&|<>()^%!]*", line), line
PYTHON
echo passed
