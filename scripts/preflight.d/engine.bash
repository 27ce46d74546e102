# shellcheck shell=bash disable=SC2034,SC2154 # shared with the other parts
# The kind of Docker engine, and the settings it requires in Compose. Provides check_engine (sets engine, the kind,
# empty for the usual one; container_uid and container_gid; memlock, userns_mode and security_opt, empty for Compose's
# defaults) and check_toolkit.

engine="" container_uid="" container_gid="" memlock="" userns_mode="" security_opt=""

check_engine() {
  container_uid=$owner_uid container_gid=$owner_gid
  if [[ $docker_root == /var/snap/* || $(type -P docker) == /snap/* ]]; then check_snap
  elif [[ $docker_system == *"Docker Desktop"* ]]; then engine="Docker Desktop"
  elif [[ $docker_security == *" name=rootless"* ]]; then use_rootless
  elif [[ $docker_security == *" name=userns"* ]]; then
    # Remapped IDs may not write to the clone.
    engine="user namespaces" userns_mode=host
  fi
  if [[ $docker_security == *" name=selinux"* ]] && selinux_enforces; then security_opt=label=disable; fi
  check_place
}

# The container's root is the caller; all other IDs own nothing on the host.
use_rootless() {
  local limit
  engine=rootless container_uid=0 container_gid=0
  limit=$(ulimit -Hl)
  [[ $limit == unlimited ]] || memlock=$((limit * 1024))
}

selinux_enforces() { # if unknown, yes: the option does no harm without SELinux
  has getenforce || return 0
  call getenforce
  if [[ $status == hung ]]; then
    said
    finding warning selinux-unknown "getenforce: $shown" "SELinux is taken as enforcing: SECURITY_OPT=label=disable"
  fi
  [[ $out != Permissive && $out != Disabled ]]
}

check_snap() {
  engine=snap
  local below=${project#"${HOME:-/root}"/}
  [[ $below == "$project" || $below == .* ]] || return 0
  finding error docker-snap-folder \
    "Docker from snap sees no folder outside of your home, and none of its hidden ones: $project" \
    "move the clone into your home; or sudo snap remove docker, and install Docker Engine's own packages"
}

# Compose mounts the clone by its path on the engine's host.
check_place() {
  call docker context inspect --format '{{.Endpoints.docker.Host}}'
  case $out in
    ssh://* | tcp://*)
      [[ $out =~ ^tcp://(localhost|127\.[0-9.]+|\[::1\])(:|$) ]] || finding warning docker-remote \
        "the engine is at $out: it mounts folders of its own host, which must hold this clone at $project" \
        "docker context use default, or run this on that host" ;;
  esac
}

check_toolkit() { # any of these makes Docker accept GPU requests
  [[ $device == cuda ]] || return 0
  if [[ $docker_runtimes != *\"nvidia\"* ]] && ! { in_wsl && [[ $engine == "Docker Desktop" ]]; } &&
     ! has nvidia-container-runtime-hook && ! devices_by_cdi; then
    case $engine in
      "Docker Desktop")
        finding error desktop-no-gpu "Docker Desktop on Linux runs containers in a virtual machine, which has no GPU" \
          "install Docker Engine beside it and docker context use default; or use the CPU: GPUS=none" ;;
      snap)
        finding error docker-snap "Docker from snap cannot pass GPUs on" \
          "sudo snap remove docker, and install Docker Engine's own packages; or use the CPU: GPUS=none" ;;
      *)
        finding error toolkit-missing \
          "Docker cannot pass GPUs on: the NVIDIA Container Toolkit is missing or not set up" \
          "install nvidia-container-toolkit, then sudo nvidia-ctk runtime configure --runtime=docker and\
 sudo systemctl restart docker; or use the CPU: GPUS=none" ;;
    esac
  elif [[ $engine == rootless ]] && ! devices_by_cdi && ! device_cgroups_off; then
    finding warning rootless-cgroups "a rootless engine may not set the device cgroups that NVIDIA's runtime asks for" \
      "sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place, then systemctl --user restart docker"
  fi
}

devices_by_cdi() {
  call docker info --format '{{json .DiscoveredDevices}}'
  [[ $status == 0 && $out == *nvidia.com/gpu* ]]
}

device_cgroups_off() {
  local line
  while IFS= read -r line; do
    [[ ! $line =~ ^[[:space:]]*no-cgroups[[:space:]]*=[[:space:]]*true ]] || return 0
  done 2> /dev/null < "$root/etc/nvidia-container-runtime/config.toml"
  return 1
}
