# shellcheck shell=bash disable=SC2034,SC2154 # shared with the other parts
# Docker, Compose and their requirements. Provides check_docker (sets docker_version, docker_root, docker_proxy,
# docker_system, docker_runtimes, docker_security), check_compose (sets compose_version), check_image (sets image_here),
# check_disk, check_proxy.

readonly compose_least=2.24 disk_needed_gb=30 disk_needed_with_image_gb=6
docker_version="" docker_root="" docker_proxy="" docker_system="" docker_runtimes="" docker_security=" "
compose_version="" docker_hangs=false

podman_instead() {
  finding error podman "Podman stands in Docker's place" \
    "the Compose files request GPUs in Docker's way: install Docker Engine beside it, or see docs/container.md"
}

check_docker() {
  if ! has docker; then
    if has podman; then podman_instead; else
      finding error docker-missing "there is no docker command" \
        "install Docker Engine with the Compose and Buildx plugins (Docker's own packages, or docker.io,\
 docker-compose-v2 and docker-buildx on Ubuntu); on WSL2, Docker Desktop"
    fi
    return 0
  fi
  call docker --version
  if [[ ${out,,}${err,,} == *podman* ]]; then podman_instead; return 0; fi
  if [[ $status == hung ]]; then docker_fails; return 0; fi
  # One line per fact; only a complete answer has the last one. Some versions print the daemon's errors and exit with 0.
  local fact='{{println}}preflight:' format line errors="" version=""
  format="${fact}errors={{range .ServerErrors}}{{.}} {{end}}${fact}root={{.DockerRootDir}}"
  format+="${fact}proxy={{.HTTPProxy}}{{.HTTPSProxy}}${fact}system={{.OperatingSystem}}"
  format+="${fact}runtimes={{json .Runtimes}}"
  format+="${fact}security={{range .SecurityOptions}}{{.}} {{end}}${fact}version={{.ServerVersion}}{{println}}"
  call docker info --format "$format"
  while IFS= read -r line; do
    line=${line%$'\r'}
    case $line in
      preflight:errors=*) errors=${line#*=} ;;
      preflight:root=*) docker_root=${line#*=} ;;
      preflight:proxy=*) docker_proxy=${line#*=} ;;
      preflight:system=*) docker_system=${line#*=} ;;
      preflight:runtimes=*) docker_runtimes=${line#*=} ;;
      preflight:security=*) docker_security=" ${line#*=} " ;;
      preflight:version=*) version=${line#*=} ;;
    esac
  done <<< "$out"
  if [[ $status != 0 || -n ${errors// /} || ! $version =~ ^[0-9A-Za-z][0-9A-Za-z.+~_-]*$ || $docker_root != /* ]]; then
    [[ -z $errors$err ]] || out=$errors
    docker_fails
    return 0
  fi
  call docker version --format '{{range .Server.Components}}{{.Name}}{{println}}{{end}}'
  if [[ ${out,,} == *podman* ]]; then podman_instead; return 0; fi
  docker_version=$version
}

docker_fails() {
  said
  case $shown in
    *"permission denied"*)
      finding error docker-permission "Docker's socket is not open to you: $shown" \
        "sudo usermod -aG docker \"\$USER\", then log out and in (or: newgrp docker)" ;;
    *"Cannot connect"* | *"daemon running"* | *"failed to connect"*)
      finding error docker-not-running "Docker's daemon does not answer: $shown" \
        "$(in_wsl && echo "start Docker Desktop with its WSL integration, or: sudo service docker start" ||
           echo "sudo systemctl enable --now docker")" ;;
    *)
      if [[ $status == hung ]]; then
        docker_hangs=true
        finding error docker-hangs "docker: $shown" \
          "sudo systemctl restart docker; a remote engine (docker context show) must be in reach"
      else
        finding error docker-fails "docker info does not tell the daemon's version: $shown" \
          "correct what it says; docker info must work first"
      fi ;;
  esac
}

check_compose() {
  has docker && ! $docker_hangs || return 0
  local install="install Docker's Compose plugin (docker-compose-plugin, or docker-compose-v2 on Ubuntu)" version
  local form='^v?([0-9]{1,4}\.[0-9]{1,4})(\.[0-9A-Za-z.+~-]*)?$'
  call docker compose version --short
  version=${out%$'\r'} version=${version##*$'\n'}
  if [[ $status == 0 && $version =~ $form ]]; then
    if at_least "${BASH_REMATCH[1]}" "$compose_least"; then compose_version=${version#v}; return 0; fi
    finding error compose-too-old "Compose ${version#v}, but $compose_least or later is needed" \
      "$install, in a newer version"
  elif $failed; then return 0 # without a running daemon, or with Podman, the first finding is the one to act on
  elif [[ $status == hung ]]; then
    said
    finding error compose-hangs "docker compose version: $shown" "$install anew"
  else
    said
    local answer=$shown
    has docker-compose && call docker-compose version --short
    if [[ $out =~ ^1\.[0-9]{1,4} ]]; then
      finding error compose-v1 "only Compose v1 (docker-compose $out) is here" "$install: v1 is no longer maintained"
    else
      finding error compose-missing "docker has no compose command that tells its version: $answer" "$install"
    fi
  fi
}

check_image() {
  [[ -n $image ]] || return 0
  call docker image inspect --format '{{.Id}}' "$image"
  [[ $status != 0 || ! $out =~ ^(sha256:)?[0-9a-f]{12,64}$ ]] || image_here=true
}

check_disk() {
  # Matches a POSIX line from its end, because the name of the device may contain spaces.
  local form=' ([0-9]{1,15}) +[0-9]{1,15} +(-?[0-9]{1,15}) +[0-9-]+%? +/'
  local total free needed=$disk_needed_gb
  # With Docker Desktop or a remote engine, the folder is not on this host.
  [[ $docker_system != *"Docker Desktop"* && -d $root$docker_root ]] || return 0
  ! $image_here || needed=$disk_needed_with_image_gb
  call df -Pk -- "$root$docker_root"
  if [[ $status != 0 || ! ${out##*$'\n'} =~ $form ]]; then
    said
    finding warning disk-unknown "df does not tell the free space of Docker's folder $docker_root: $shown" \
      "see to it that $needed GB are free there"
    return 0
  fi
  total=$((BASH_REMATCH[1] / 1048576)) free=$((BASH_REMATCH[2] / 1048576))
  ((free >= 0)) || free=0
  [[ $free -lt $needed ]] || return 0
  if [[ $total -lt $((disk_needed_gb + 10)) ]]; then
    finding error disk-small \
      "Docker keeps its data in $docker_root, on a partition of $total GB with $free GB free; $needed GB are needed" \
      "move it to a larger one: \"data-root\": \"/large/docker\" in /etc/docker/daemon.json, then restart docker"
  else
    finding error disk-full "$free GB free for Docker in $docker_root; $needed GB are needed" \
      "docker system prune --all --volumes frees what Docker no longer uses (docker system df shows it first)"
  fi
}

check_proxy() {
  local proxy=${https_proxy:-${HTTPS_PROXY:-${http_proxy:-${HTTP_PROXY:-}}}}
  [[ -n $proxy && -z $docker_proxy ]] && ! $image_here || return 0
  [[ $proxy != *@* ]] || proxy=${proxy%%//*}//${proxy##*@} # do not print a password
  finding warning proxy \
    "this shell goes through the proxy $proxy, Docker's daemon does not: pulling the image may hang" \
    "give the daemon the proxy (\"proxies\" in /etc/docker/daemon.json, or HTTPS_PROXY in its systemd unit) and\
 restart it; builds take it from this shell"
}
