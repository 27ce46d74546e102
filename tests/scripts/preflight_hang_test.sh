#!/usr/bin/env bash
# shellcheck disable=SC2016 # the stand-ins read their own variables
# Tests scripts/preflight with programs that hang: each is ended within the time limit and named.
set -euo pipefail
# shellcheck source=preflight_host.bash
source "$(dirname "${BASH_SOURCE[0]}")/preflight_host.bash"

hangs='echo $$ > "$HOST/pid"; sleep 600'
host "nvidia-smi hangs"; stand_in nvidia-smi "$hangs"; with=(PREFLIGHT_TIME_LIMIT=4); preflight; refuses driver-hangs
says "no answer within 4 s"; says "GPUS=none"
for ((tries = 0; tries < 100; tries++)); do kill -0 "$(< "$host/pid")" 2> /dev/null || break; sleep 0.1; done
if ((tries < 100)); then pass; else fail "left nvidia-smi running"; fi
host "nvidia-smi hangs, on the CPU"; stand_in nvidia-smi "$hangs"; with=(PREFLIGHT_TIME_LIMIT=4); preflight --gpus none
takes $new $cpu_files
host "nvidia-smi hangs after a card"; stand_in nvidia-smi "echo '$(h100 0)'; sleep 600"; with=(PREFLIGHT_TIME_LIMIT=4)
preflight; refuses driver-hangs
host "docker hangs"; stand_in docker "$hangs"; with=(PREFLIGHT_TIME_LIMIT=4); preflight; refuses docker-hangs
says "systemctl restart docker"
for what in "info --format:docker-hangs" "compose version:compose-hangs" "compose --project-directory:env-not-read"; do
  host "docker ${what%:*} hangs"
  mv "$host/bin/docker" "$host/bin/answers"
  stand_in docker "if [[ \"\$1 \$2\" == '${what%:*}' ]]; then sleep 600; fi; exec answers \"\$@\""
  with=(PREFLIGHT_TIME_LIMIT=4); preflight; refuses "${what#*:}"; says "no answer within 4 s"
done
host "df hangs"; stand_in df "sleep 600"; with=(PREFLIGHT_TIME_LIMIT=4); preflight; warns disk-unknown; says "no answer within 4 s"
host "getenforce hangs"; info "security=name=selinux "; stand_in getenforce "sleep 600"; with=(PREFLIGHT_TIME_LIMIT=4)
preflight; warns selinux-unknown; writes SECURITY_OPT=label=disable
host "uname hangs"; stand_in uname "sleep 600"; with=(PREFLIGHT_TIME_LIMIT=4); preflight --json; exits 3; is_json host-unknown

finish_tests
