#!/usr/bin/env bash
# Tests scripts/preflight on a table of hosts: cards, drivers, Docker, and what it writes.
set -euo pipefail
# shellcheck source=preflight_host.bash
source "$(dirname "${BASH_SOURCE[0]}")/preflight_host.bash"

# ---- cards and drivers -----------------------------------------------------------------------------------------------

host "H100 with a new driver"; cards 580.65.06 "NVIDIA H100 80GB HBM3|9.0"; preflight; takes $new
host "H100 with driver 535"; cards 535.183.01 "NVIDIA H100 80GB HBM3|9.0"; preflight; takes $old
host "H100 with driver 525, the least"; cards 525.60.13 "NVIDIA H100 80GB HBM3|9.0"; preflight; takes $old
host "H100 with driver 520"; cards 520.61.05 "NVIDIA H100 80GB HBM3|9.0"; preflight; refuses driver-too-old; says "525"
host "A100"; cards 580.65.06 "NVIDIA A100-SXM4-80GB|8.0"; preflight; takes $new
host "GTX 1080 Ti runs sm_60"; cards 580.65.06 "NVIDIA GeForce GTX 1080 Ti|6.1"; preflight; takes $old
host "V100"; cards 580.65.06 "Tesla V100-SXM2-16GB|7.0"; preflight; takes $old
host "GeForce 840M is Maxwell"; cards 550.54.14 "NVIDIA GeForce 840M|5.0"; preflight; takes $old
host "RTX 4090 runs sm_86"; cards 580.65.06 "NVIDIA GeForce RTX 4090|8.9"; preflight; takes $new
host "RTX 4090 with an old driver"; cards 515.105.01 "NVIDIA GeForce RTX 4090|8.9"; preflight
refuses driver-too-old; says "driver 515.105.01 is too old"; says "install driver 525 or later"; says "GPUS=none"
host "RTX 5090 with driver 570"; cards 570.124.06 "NVIDIA GeForce RTX 5090|12.0"; preflight; takes $blackwell
host "RTX 5090 with driver 580"; cards 580.65.06 "NVIDIA GeForce RTX 5090|12.0"; preflight; takes $new
host "RTX 5090 with driver 565"; cards 565.57.01 "NVIDIA GeForce RTX 5090|12.0"; preflight; refuses driver-too-old; says "570"
host "B300 runs sm_100"; cards 580.65.06 "NVIDIA B300|10.3"; preflight; takes $new
host "a card newer than the table"; cards 620.10 "NVIDIA Future|14.0"; preflight; refuses card-not-covered; says "BASE_IMAGE"

host "Tesla K80"; cards 470.256.02 "Tesla K80|3.7"; preflight
refuses card-not-covered; says "GPU 0 \(Tesla K80, compute capability 3.7\)"; says "5.0 to 12.0"
says "2.3.1-cuda11.8-cudnn8-devel"; says "GPUS=none"; silent_on "leave it out"
host "Tesla K80 with a driver that does not tell the capability"; cards 470.256.02 "Tesla K80|3.7"; touch "$host/no-compute-cap"
preflight; refuses card-not-covered; says "3.7"
host "old driver that does not tell the capability of a newer card"; cards 470.256.02 "NVIDIA A100|8.0"
touch "$host/no-compute-cap"; preflight; refuses driver-too-old; says "525"
host "Tesla K80, on the CPU"; cards 470.256.02 "Tesla K80|3.7"; preflight --gpus none; takes $new $cpu_files; writes GPUS=none
host "K80 beside V100"; cards 470.256.02 "Tesla K80|3.7" "Tesla V100|7.0"; preflight
refuses card-not-covered; says "Tesla K80"; says "driver 470.256.02 is too old"
host "K80 beside V100 with a newer driver"; cards 535.183.01 "Tesla K80|3.7" "Tesla V100|7.0"; preflight
refuses card-not-covered; says "leave it out: GPUS=1 \($old\)"; silent_on "too old"
with=(GPUS=1); preflight; takes $old $some_files; writes GPUS=1
host "1080 Ti beside 5090"; cards 580.65.06 "GTX 1080 Ti|6.1" "RTX 5090|12.0" "RTX 4090|8.9"; preflight
refuses cards-differ; says "GPUS=1,2 \($new\)"; says "GPUS=0,2 \($old\)"
host "V100 beside 5090 share the image for both"; cards 570.124.06 "V100|7.0" "RTX 5090|12.0"; preflight; takes $blackwell
host "T4 beside H100"; cards 580.65.06 "Tesla T4|7.5" "H100|9.0"; preflight; takes $new

# ---- choosing cards --------------------------------------------------------------------------------------------------

host "GPUS=0,1 of three"; cards "${two[@]}"; with=("GPUS=0,1"); preflight; takes $new $some_files; writes GPUS=0,1
output=$(cat "$host/clone/docker-compose.gpus.yml"); says '^ +- "0"$'; says '^ +- "1"$'; silent_on '"2"'
host "--gpus wins over GPUS"; cards "${two[@]}"; with=(GPUS=0); preflight --gpus 2; writes GPUS=2
host "a card by its identifier"; cards "${two[@]}"; preflight --gpus GPU-00000000-0000-0000-0000-000000000001
exits 0; writes GPUS=GPU-00000000-0000-0000-0000-000000000001
host "a MIG slice"; cards "${two[@]}"
printf '%s\n' "GPU 0: NVIDIA H100 (UUID: GPU-0)" "GPU 1: NVIDIA H100 (UUID: GPU-1)" "  MIG 1g.10gb Device 0: (UUID: MIG-abc)" > "$host/list"
preflight --gpus MIG-abc; exits 0; writes GPUS=MIG-abc
preflight --gpus MIG-abd; exits 2
host "a card that is not there"; cards "${two[@]}"; preflight --gpus 0,3; exits 2; says "no card 3, only 0,1,2"; writes_nothing
host "a card twice"; cards "${two[@]}"; preflight --gpus 1,1; exits 2; says "twice"
host "nonsense for cards"; cards "${two[@]}"; preflight --gpus "0;rm"; exits 2
host "cards asked for where there are none"; preflight --gpus 0; refuses no-such-gpu
host "GPUS in the user's own lines"; cards "${two[@]}"; echo GPUS=1 > "$host/clone/.env"; preflight
exits 0; writes "COMPOSE_FILE=$some_files"
host "no GPU at all"; preflight; takes $new $cpu_files; says "none: setting up the CPU"; writes GPUS=none

# ---- nvidia-smi fails ------------------------------------------------------------------------------------------------

host "driver and library differ"; smi_says "Failed to initialize NVML: Driver/library version mismatch" 18; preflight
refuses driver-mismatch; says "reboot"
host "driver does not answer"
smi_says "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure it runs." 9; preflight
refuses driver-silent; says "modprobe nvidia"
host "driver takes no card"; smi_says "No devices were found" 6; preflight; refuses driver-no-device; says "dmesg"
host "nvidia-smi fails otherwise"; smi_says "Unable to determine the device handle: GPU is lost" 15; preflight
refuses driver-fails; says "GPU is lost"
host "a failing driver does not keep anyone from the CPU"; smi_says "No devices were found" 6; preflight --gpus none
takes $new $cpu_files
host "a card without a driver"; mkdir -p "$host/root/sys/bus/pci/devices/0000:01:00.0"
echo 0x10de > "$host/root/sys/bus/pci/devices/0000:01:00.0/vendor"
echo 0x030000 > "$host/root/sys/bus/pci/devices/0000:01:00.0/class"; preflight; refuses driver-missing

# ---- WSL2 ------------------------------------------------------------------------------------------------------------

wsl=5.15.153.1-microsoft-standard-WSL2
host "WSL2 with a GPU"; kernel $wsl; cards 581.29 "NVIDIA GeForce RTX 4070|8.9"; preflight; takes $new; says WSL2
host "WSL2, nvidia-smi off PATH"; kernel $wsl; cards 581.29 "NVIDIA GeForce RTX 4070|8.9"
mkdir -p "$host/root/usr/lib/wsl/lib"; mv "$host/bin/nvidia-smi" "$host/root/usr/lib/wsl/lib/"; preflight; takes $new
host "WSL2 without GPU support"; kernel $wsl; preflight
takes $new $cpu_files; says "\[wsl-no-gpu\]"; says "wsl --update"; says "on Windows and none inside WSL"
host "WSL2 with a mixed driver"; kernel $wsl; smi_says "Error 500: named symbol not found" 1; preflight
refuses wsl-driver; says "wsl --update"
host "WSL2, Docker not started"; kernel $wsl
echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?" > "$host/docker-error"
preflight; refuses docker-not-running; says "Docker Desktop"

# ---- Docker ----------------------------------------------------------------------------------------------------------

host "no Docker"; rm "$host/bin/docker"; preflight; refuses docker-missing; says "install Docker Engine"
host "Docker not running"
echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?" > "$host/docker-error"
preflight; refuses docker-not-running; says "systemctl enable --now docker"
host "no permission"
echo "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock" > "$host/docker-error"
preflight; refuses docker-permission; says "usermod -aG docker"
host "Docker fails otherwise"; echo "Error response from daemon: context gone" > "$host/docker-error"; preflight; refuses docker-fails
host "Compose missing"; rm "$host/compose"; preflight; refuses compose-missing
host "Compose v1"; rm "$host/compose"; stand_in docker-compose 'echo 1.29.2'; preflight; refuses compose-v1; says "1.29.2"
host "Compose too old"; echo v2.23.3 > "$host/compose"; preflight; refuses compose-too-old; says "2.23.3, but 2.24 or later"
host "the oldest Compose that will do"; echo v2.24.0 > "$host/compose"; preflight; exits 0
host "no toolkit"; cards "${two[@]}"; info 'runtimes={"runc":{}}'; preflight
refuses toolkit-missing; says "nvidia-ctk runtime configure"
preflight --gpus none; takes $new $cpu_files
host "no toolkit needed without a card"; info 'runtimes={"runc":{}}'
preflight; exits 0
host "the toolkit's hook alone will do"; cards "${two[@]}"; stand_in nvidia-container-runtime-hook true
info 'runtimes={"runc":{}}'; preflight; takes $new
host "CDI will do"; cards "${two[@]}"; info 'runtimes={"runc":{}}' version=29.0.1
echo '[{"Source":"cdi","ID":"nvidia.com/gpu=all"}]' > "$host/cdi"; preflight; takes $new
host "Podman alone"; rm "$host/bin/docker"; stand_in podman true; preflight; refuses podman; says "docs/container.md"
host "Podman under docker's name"; stand_in docker 'echo "podman version 4.9.3"'; preflight; refuses podman
host "little disk"; echo "500 12" > "$host/disk"; preflight; refuses disk-full; says "12 GB free"; says "docker system prune"
host "little disk is enough once the image is here"; echo "500 12" > "$host/disk"
echo "pytorch/pytorch:$new-devel" > "$host/images"; preflight; takes $new $cpu_files; says "already here"
host "Docker on a small partition"; echo "20 15" > "$host/disk"; preflight; refuses disk-small; says "data-root"
host "Docker's folder is elsewhere"; echo "20 1" > "$host/disk"; rmdir "$host/root/var/lib/docker"; preflight; exits 0
host "a proxy that the daemon does not know"; with=(HTTPS_PROXY=http://me:secret@proxy.example:3128); preflight
exits 0; says "warning \[proxy\].*http://proxy.example:3128"; silent_on secret
host "a proxy that the daemon knows"; with=(HTTPS_PROXY=http://proxy.example:3128)
info proxy=http://proxy.example:3128; preflight; silent_on "\[proxy\]"
host "arm64"; echo "Linux 6.8.0 aarch64" > "$host/uname"; preflight; refuses architecture
host "several things at once"; echo "500 3" > "$host/disk"; rm "$host/compose"; cards 470.1 "A100|8.0"; preflight
refuses compose-missing; says "\[disk-full\]"; says "\[driver-too-old\]"

# ---- what it writes --------------------------------------------------------------------------------------------------

host "ids of the caller"; preflight; writes "HOST_UID=$(id -u)"; writes "HOST_GID=$(id -g)"
writes "RUNTIME_IMAGE=pytorch/pytorch:$new-runtime"
if [[ -d $host/clone/build && -d $host/clone/data && -d $host/clone/runs ]]; then pass; else fail "no folders"; fi
host "ids of whoever called sudo"; with=(SUDO_UID=1234 SUDO_GID=1235); preflight; writes HOST_UID=1234; writes HOST_GID=1235
host "twice"; cards "${two[@]}"; preflight --gpus 0; touch -d 2001-01-01 "$host/clone/.env"; before=$(cat "$host/clone/.env")
preflight --gpus 0
if [[ $before == "$(cat "$host/clone/.env")" && $(stat -c %Y "$host/clone/.env") -lt 1000000000 ]]; then pass
else fail "the second run changed .env"; fi
preflight; exits 0; writes GPUS=all; writes COMPOSE_FILE=docker-compose.yml
host "the user's lines"
printf '%s\n' "# mine" "SHM_SIZE=8g" "IPC_MODE=private" "  TOKEN='a b'" > "$host/clone/.env"; chmod 600 "$host/clone/.env"
preflight; preflight
writes "# mine"; writes "SHM_SIZE=8g"; writes "  TOKEN='a b'"; writes HOST_UID="$(id -u)"
if [[ $(grep -c SHM_SIZE "$host/clone/.env") == 1 && $(stat -c %a "$host/clone/.env") == 600 ]]; then pass
else fail "lines doubled or mode lost: $(cat "$host/clone/.env")"; fi
host "an image of the user's own"; cards 470.1 "Tesla K80|3.7"; echo 'BASE_IMAGE="my/torch:devel"' > "$host/clone/.env"
preflight; exits 0; says "my/torch:devel"; silent_on "card-not-covered"
if [[ $(grep -c BASE_IMAGE "$host/clone/.env") == 1 ]]; then pass; else fail "a second BASE_IMAGE"; fi
host "an image of the caller's own"; with=(BASE_IMAGE=other/torch:1); preflight; writes BASE_IMAGE=other/torch:1
host "--print"; cards "${two[@]}"; preflight --print; exits 0; writes_nothing; says "would write"; says "BASE_IMAGE=pytorch/pytorch:$new-devel"
host "a failure leaves the earlier .env"; preflight; before=$(cat "$host/clone/.env"); cards 470.1 "A100|8.0"; preflight; exits 3
if [[ $before == "$(cat "$host/clone/.env")" ]]; then pass; else fail "changed .env"; fi
host "--json, ready"; cards 580.1 'NVIDIA "H100"|9.0'; preflight --json --print
if json=$(python3 -c 'import json,sys; d=json.load(sys.stdin)
print(d["ready"], d["image"], d["cards"][0]["compute_capability"], d["cards"][0]["name"], d["findings"])' <<< "$output") &&
   [[ $json == "True pytorch/pytorch:$new-devel 9.0 NVIDIA \"H100\" []" ]]; then pass; else fail "JSON: ${json-unreadable}"; fi
host "--json, not fit"; cards 470.1 "Tesla K80|3.7" "V100|7.0"; preflight --json; exits 3
if [[ $(python3 -c 'import json,sys; print([f["code"] for f in json.load(sys.stdin)["findings"]])' <<< "$output") == \
      "['card-not-covered', 'driver-too-old']" ]]; then pass; else fail "JSON"; fi
host "unknown argument"; preflight --fast; exits 2; says usage
host "--help"; preflight --help; exits 0; says "Exit codes"

finish_tests
