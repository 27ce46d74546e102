# shellcheck shell=bash disable=SC2034,SC2154 # shared with the other parts
# This host and its user. Provides check_host (sets system, kernel, machine; owner_uid and owner_gid, the owner of the
# files), in_wsl, at_least.

system="" kernel="" machine="" owner_uid="" owner_gid=""

in_wsl() { [[ $kernel == *[Mm]icrosoft* ]]; }

at_least() { # version, lowest version: major.minor of at most four digits each
  local major=${1%%.*} minor=${1#*.} least_major=${2%%.*} least_minor=${2#*.}
  ((major > least_major || (major == least_major && minor >= least_minor)))
}

check_host() {
  call uname -s -r -m
  if [[ $status == 0 && $out =~ ^([A-Za-z0-9_.-]+)\ ([^[:space:]]+)\ ([A-Za-z0-9_]+)$ ]]; then
    system=${BASH_REMATCH[1]} kernel=${BASH_REMATCH[2]} machine=${BASH_REMATCH[3]}
  else
    said
    finding error host-unknown "uname does not tell system, release and machine: $shown" "make 'uname -srm' work first"
    finish 3
  fi
  if [[ $system != Linux ]]; then
    finding error host-system "this host runs $system; scripts/preflight is for Linux and WSL2" \
      "use the CPU: docker compose -f docker-compose.yml -f docker-compose.cpu.yml up"
    finish 3
  fi
  # Under sudo, files belong to its caller.
  owner_uid=${SUDO_UID:-$EUID} owner_gid=${SUDO_GID:-${GROUPS[0]}}
  [[ $owner_uid =~ ^[0-9]{1,10}$ && $owner_gid =~ ^[0-9]{1,10}$ ]] ||
    usage "SUDO_UID=$owner_uid and SUDO_GID=$owner_gid are not ids; unset them"
}
