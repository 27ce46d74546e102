#!/usr/bin/env bash
# Tests scripts/preflight with kinds of engines: rootless, user namespaces, SELinux, snap, Docker Desktop, remote,
# Podman.
set -euo pipefail
# shellcheck source=preflight_host.bash
source "$(dirname "${BASH_SOURCE[0]}")/preflight_host.bash"

usual="name=seccomp,profile=builtin name=cgroupns"
no_runtime='runtimes={"runc":{}}'
writes_no() { if grep -q "^$1=" "$host/clone/.env"; then fail "writes $1"; else pass; fi; } # key

host "the usual engine"; preflight; takes $new $cpu_files; writes_no USERNS_MODE; writes_no SECURITY_OPT; writes_no MEMLOCK

host "rootless"; info "security=$usual name=rootless "; preflight; takes $new $cpu_files
writes HOST_UID=0; writes HOST_GID=0; says "rootless"; writes_no USERNS_MODE
if [[ $(ulimit -Hl) == unlimited ]]; then writes_no MEMLOCK; else writes "MEMLOCK=$(($(ulimit -Hl) * 1024))"; fi
equal "$(stat -c %u "$host/clone/.env" "$host/clone/runs" | sort -u)" "$EUID"
host "rootless where little memory may be locked"; info "security=$usual name=rootless "
if (ulimit -Hl 64) 2> /dev/null; then
  output=$(ulimit -l 64 && cd "$host/clone" && env -i HOST="$host" PREFLIGHT_ROOT="$host/root" PATH="$host/bin:$work/tools" \
    HOME="$host" bash scripts/preflight 2>&1)
  writes MEMLOCK=65536
fi
host "rootless with a user's own ids"; info "security=$usual name=rootless "; echo HOST_UID=1000 > "$host/clone/.env"; preflight
warns env-differs; says "HOST_UID=1000 wins; this host wants HOST_UID=0"
host "rootless with cards"; cards "${two[@]}"; info "security=$usual name=rootless "; preflight; warns rootless-cgroups
says "no-cgroups"
mkdir -p "$host/root/etc/nvidia-container-runtime"
echo "no-cgroups = true" > "$host/root/etc/nvidia-container-runtime/config.toml"; preflight; takes $new; silent_on rootless-cgroups

host "user namespaces"; info "security=$usual name=userns "; preflight; takes $new $cpu_files; writes USERNS_MODE=host
writes "HOST_UID=$EUID"; says "user namespaces"

host "SELinux enforcing"; info "security=$usual name=selinux "; stand_in getenforce "echo Enforcing"; preflight
takes $new $cpu_files; writes SECURITY_OPT=label=disable
host "SELinux permissive"; info "security=$usual name=selinux "; stand_in getenforce "echo Permissive"; preflight; writes_no SECURITY_OPT
host "SELinux without getenforce"; info "security=$usual name=selinux "; preflight; writes SECURITY_OPT=label=disable
host "SELinux of which Docker knows nothing"; stand_in getenforce "echo Enforcing"; preflight; writes_no SECURITY_OPT
host "SELinux and rootless"; info "security=name=selinux name=rootless "; preflight; writes SECURITY_OPT=label=disable; writes HOST_UID=0

host "snap"; info root=/var/snap/docker/common/var-lib-docker; preflight; takes $new $cpu_files; says "\(snap\)"
host "snap, with cards"; cards "${two[@]}"; info root=/var/snap/docker/common/var-lib-docker "$no_runtime"; preflight
refuses docker-snap; says "snap remove docker"
host "snap, the clone outside of home"; info root=/var/snap/docker/common/var-lib-docker; with=(HOME=/elsewhere); preflight
refuses docker-snap-folder
host "snap, the clone in a hidden folder"; info root=/var/snap/docker/common/var-lib-docker
mkdir "$host/home"; mkdir "$host/home/.work"; mv "$host/clone" "$host/home/.work/"; ln -s home/.work/clone "$host/clone"
with=(HOME="$host/home"); preflight; refuses docker-snap-folder

host "Docker Desktop with cards"; cards "${two[@]}"; info "system=Docker Desktop" "$no_runtime"; preflight; refuses desktop-no-gpu
preflight --gpus none; takes $new $cpu_files; says "Docker Desktop"
host "Docker Desktop in WSL2"; kernel 5.15.153.1-microsoft-standard-WSL2; cards "${two[@]}"
info "system=Docker Desktop" "$no_runtime"; preflight; takes $new
host "Docker Desktop keeps its data elsewhere"; info "system=Docker Desktop"; echo "20 1" > "$host/disk"; preflight; exits 0

for endpoint in ssh://me@far tcp://10.0.0.7:2376; do
  host "an engine at $endpoint"; echo $endpoint > "$host/endpoint"; preflight; warns docker-remote; says "$endpoint"
done
for endpoint in unix:///run/user/1000/docker.sock tcp://localhost:2375 tcp://127.0.0.1:2375; do
  host "an engine at $endpoint"; echo $endpoint > "$host/endpoint"; preflight; exits 0; silent_on docker-remote
done

host "Podman behind docker's command"; mv "$host/bin/docker" "$host/bin/answers"
# shellcheck disable=SC2016 # for the stand-in
stand_in docker 'if [[ $1 == version ]]; then echo "Podman Engine"; else exec answers "$@"; fi'; preflight; refuses podman
host "Podman's own docker command"; stand_in docker 'echo "Emulate Docker CLI using podman." >&2; echo "podman version 5.2"'
preflight; refuses podman

finish_tests
