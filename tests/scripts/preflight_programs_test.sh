#!/usr/bin/env bash
# shellcheck disable=SC2016 # the stand-ins read their own variables
# Tests scripts/preflight with programs that fail, exit with 0 despite an error, or print more, less or other output
# than expected.
set -euo pipefail
# shellcheck source=preflight_host.bash
source "$(dirname "${BASH_SOURCE[0]}")/preflight_host.bash"

# ---- limits ----------------------------------------------------------------------------------------------------------

host "a program that prints without end"; stand_in df 'while :; do echo "a long line of nothing"; done'; preflight
warns disk-unknown
host "a time limit that is none"; with=(PREFLIGHT_TIME_LIMIT=soon); preflight --json; exits 2; is_json usage

# ---- docker info -----------------------------------------------------------------------------------------------------

host "docker info prints the daemon's error and ends with 0"
info root= version= "errors=Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "; preflight
refuses docker-not-running; says "systemctl enable"
host "docker info ends with 0 and empty fields"; info root= version=; preflight; refuses docker-fails
host "docker info without an expected line"; echo "something else" > "$host/docker-info"; preflight; refuses docker-fails
says "something else"
preflight --json; exits 3; is_json docker-fails
host "docker info prints nothing"; : > "$host/docker-info"; preflight --json; exits 3; is_json docker-fails
host "docker info cut off"; sed -i '/version=/d' "$host/docker-info"; preflight; refuses docker-fails
host "docker info with lines of others"; { echo "WARNING: no swap"; cat "$host/docker-info"; } > "$host/x"
mv "$host/x" "$host/docker-info"; preflight; takes $new $cpu_files
host "docker info with CRLF"; sed -i 's/$/\r/' "$host/docker-info"; preflight; takes $new $cpu_files
host "compose version prints something else"; echo "hello" > "$host/compose"; preflight; refuses compose-missing; says "hello"
host "compose version with a warning"; printf 'WARN[0000] odd\n2.36.0-desktop.1\n' > "$host/compose"; preflight; takes $new $cpu_files
host "a version of huge numbers"; echo 99999999999999999999.1 > "$host/compose"; preflight; refuses compose-missing

# ---- nvidia-smi ------------------------------------------------------------------------------------------------------

for code in 0 14; do
  host "a warning of the infoROM, exit code $code"
  smi_says "$(h100 0)
WARNING: infoROM is corrupted at gpu 0000:B3:00.0" $code
  preflight; takes $new; warns driver-says; says "infoROM is corrupted"; silent_on "GPU 1"; silent_on card-unreadable
done
host "a warning in front, on the error output"; stand_in nvidia-smi "echo 'ld.so: cannot preload' >&2; echo '$(h100 0)'"
preflight; takes $new; warns driver-says; says "cannot preload"
host "a lost card between good ones"; smi_says "$(h100 0)
Unable to determine the device handle for GPU0000:0B:00.0: Unknown Error
$(h100 2)" 15
preflight; takes $new $some_files; warns card-unreadable; says "GPU0000:0B:00.0"; says "^GPU 2"; silent_on "^GPU 1"
output=$(< "$host/clone/docker-compose.gpus.yml"); says "$(gpu 0)"; says "$(gpu 2)"
host "no card but a lost one"; smi_says "Unable to determine the device handle for GPU0000:0B:00.0: Unknown Error" 0
preflight; refuses driver-fails; says "0B:00.0"
host "a vGPU without a compute capability"; smi_says "0, $(gpu 0), GRID A100D-80C, 550.54.15, [N/A]" 0; preflight
refuses capability-unknown; says "BASE_IMAGE=pytorch/pytorch:$old-devel"; silent_on "too old"
with=("BASE_IMAGE=pytorch/pytorch:$old-devel"); preflight; takes $old
host "a card that answers [Unknown Error]"; smi_says "$(h100 0)
1, [Unknown Error], [Unknown Error], 580.65.06, [Unknown Error]" 0
preflight; takes $new $some_files; warns card-unreadable
host "CRLF"; stand_in nvidia-smi "printf '%s\\r\\n' '$(h100 0)'"; preflight; takes $new; silent_on warning
host "a decimal comma"; smi_says "0, $(gpu 0), NVIDIA GeForce RTX 4090, 580.65.06, 8,9" 0; preflight; takes $new; says "capability 8.9"
host "MIG lines"; smi_says "$(h100 0)
  MIG 1g.10gb     Device  0: (UUID: MIG-abc)" 0
preflight; takes $new $some_files; warns card-unreadable; silent_on "^GPU 1"
host "the same card twice"; smi_says "$(h100 0)
$(h100 0)" 0
preflight; takes $new $some_files; warns card-unreadable
for row in "0, $(gpu 0), NVIDIA H100" "x, $(gpu 0), H100, 580.65.06, 9.0" "0, $(gpu 0), H100, 580.65.06, 99999999999999999999" \
  "08, $(gpu 0), H100, 580.65.06, 9.0" "0, $(gpu 0), H100, driver, 9.0" ", , , ," "<html>" "0, $(gpu 0), H100, 099.1, 9.0"; do
  host "a row that is none: $row"; smi_says "$row" 0; preflight; refuses driver-fails; silent_on "GPU 0 "
done
host "nvidia-smi prints nothing"; stand_in nvidia-smi true; preflight; refuses driver-fails; says "nothing \(exit code 0\)"
host "nvidia-smi is not a program"; echo > "$host/bin/nvidia-smi"; chmod +x "$host/bin/nvidia-smi"; preflight; exits 3

# ---- df, uname, tools ------------------------------------------------------------------------------------------------

host "a long device name"; stand_in df '[[ $1 == -Pk ]] || exit 1; echo "Filesystem 1024-blocks Used Available Capacity Mounted on"
echo "/dev/mapper/a-very-long-name-of-a-volume-group-and-its-logical-volume with space 524288000 1 12582912 98% /var/lib/my docker"'
preflight; refuses disk-full; says "12 GB free"
host "negative space"; stand_in df 'printf "Filesystem x\n/dev/a 524288000 524290000 -2000 101%% /\n"'; preflight; refuses disk-full
says "0 GB free"
host "df fails"; stand_in df 'echo "df: /var/lib/docker: Stale file handle" >&2; exit 1'; preflight; warns disk-unknown; says "Stale file"
host "df prints nothing"; stand_in df true; preflight; warns disk-unknown
host "df prints no numbers"; stand_in df 'printf "Filesystem x\n/dev/a - - - - /\n"'; preflight; warns disk-unknown
host "df of absurd size"; stand_in df 'printf "F\n/dev/a 99999999999999999999 1 99999999999999999999 1%% /\n"'; preflight; warns disk-unknown
host "uname prints nothing"; stand_in uname true; preflight; refuses host-unknown
host "uname fails"; stand_in uname 'exit 1'; preflight --json; exits 3; is_json host-unknown
host "macOS with a new bash"; echo "Darwin 24.1.0 arm64" > "$host/uname"; preflight; refuses host-system; says "docker-compose.cpu.yml"
host "missing tools"; rm "$host/bin/df" "$work/tools/stat"; preflight; refuses host-tools; says "df stat"
preflight --json; exits 3; is_json host-tools
ln -s "$(type -P stat)" "$work/tools/stat"
host "no folder for temporary files"; with=(TMPDIR=/nowhere); preflight --json; exits 3; is_json host-temporary
host "ids of sudo that are none"; with=(SUDO_UID=me SUDO_GID=1); preflight; exits 2; writes_nothing

# ---- what is shown ---------------------------------------------------------------------------------------------------

host "terminal escapes in a card's name"; stand_in nvidia-smi "printf '0, $(gpu 0), NVIDIA \\0337\\007H100\\xff é, 580.65.06, 9.0\\nWARNING: \\033[2J\\n'"
preflight; exits 0; says 'NVIDIA .x1b7.x07H100.xff é'
if [[ $output == *[$'\e\a']* ]]; then fail "passes escapes on"; else pass; fi
preflight --json; is_json driver-says
host "terminal escapes of docker"; printf '\e[2J\x9b31mgone\0 \xff"\\\n' > "$host/docker-error"; preflight; refuses docker-fails
if [[ $output == *$'\e'* ]]; then fail "passes escapes on"; else pass; fi
preflight --json; is_json docker-fails
host "a long message"; printf '%*s' 100000 x > "$host/docker-error"; preflight; refuses docker-fails
if [[ ${#output} -lt 5000 ]]; then pass; else fail "shows all of it"; fi

# ---- the last resort -------------------------------------------------------------------------------------------------

host "a fault of preflight"; echo 'check_disk() { false; }' >> "$host/clone/scripts/preflight.d/docker.bash"
preflight; exits 1; says "error \[internal\].*docker.bash, line"; writes_nothing
preflight --json; exits 1; is_json internal
host "a variable that is not set"; echo 'check_disk() { echo "$nothing"; }' >> "$host/clone/scripts/preflight.d/docker.bash"
preflight; exits 1; says "error \[internal\]"; writes_nothing
host "a signal"; stand_in df 'kill -TERM $PPID $(cut -d" " -f4 /proc/$PPID/stat); sleep 5'; preflight; exits 143; says "error \[interrupted\]"
if compgen -G "$work/.preflight.*" > /dev/null; then fail "leaves temporary folders"; else pass; fi
host "bash of macOS"; sed -i 's/BASH_VERSINFO\[0\] \* 100 + BASH_VERSINFO\[1\] < 404/1/' "$host/clone/scripts/preflight"
preflight; refuses host-shell
preflight --json; exits 3; is_json host-shell

# ---- the documents ---------------------------------------------------------------------------------------------------

name="docs/preflight.md"
findings=$(sed -n '/^## Findings/,$p' "$source_dir/docs/preflight.md")
while read -r _ _ code; do
  if [[ $findings == *"\`$code\`"* ]]; then pass; else fail "does not explain $code"; fi
done < <(grep -ohE "finding (error|warning) [a-z0-9-]+" "$source_dir"/scripts/preflight{,.d/*.bash})

finish_tests
