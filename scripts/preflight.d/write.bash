# shellcheck shell=bash disable=SC2034,SC2154 # shared with the other parts
# Writes the result of preflight. Provides check_settings (sets settings, the lines of .env's block, as Compose will
# read them), write_choice, compose_files.

settings=()

compose_files() { # the files in effect
  if [[ -n ${env_value[COMPOSE_FILE]:-} ]]; then echo "${env_value[COMPOSE_FILE]}"; else chosen_files; fi
}
chosen_files() {
  if [[ $device == cpu ]]; then echo docker-compose.yml:docker-compose.cpu.yml
  elif [[ ${#gpu_ids[@]} -gt 0 ]]; then echo docker-compose.yml:docker-compose.cpu.yml:docker-compose.gpus.yml
  else echo docker-compose.yml; fi
}

# Builds the block, without the keys that the user has set, and checks what Compose reads from the whole file.
check_settings() {
  local line key
  for line in "BASE_IMAGE=$image" "RUNTIME_IMAGE=${image/%-devel/-runtime}" "COMPOSE_FILE=$(chosen_files)" \
              "HOST_UID=$container_uid" "HOST_GID=$container_gid" "GPUS=$gpus_written" \
              ${memlock:+"MEMLOCK=$memlock"} ${userns_mode:+"USERNS_MODE=$userns_mode"} \
              ${security_opt:+"SECURITY_OPT=$security_opt"}; do
    key=${line%%=*}
    if [[ -z ${env_value[$key]:-} ]]; then settings+=("$line")
    elif [[ ${env_value[$key]} != "${line#*=}" && $key != *IMAGE && $key != GPUS ]]; then
      finding warning env-differs "in .env, your $key=${env_value[$key]} wins; this host wants $line" \
        "remove your line, unless it is meant"
    fi
  done
  for key in COMPOSE_ENV_FILES COMPOSE_DISABLE_ENV_FILE; do
    [[ -z ${!key:-} ]] || finding warning env-unused "$key=${!key} keeps Compose from reading .env" "unset $key"
  done
  env_lines > "$scratch/env"
  ask_compose || return 0
  for line in "${settings[@]}"; do
    key=${line%%=*}
    [[ ${asked[$key]-} != "${line#*=}" && $key != GPUS ]] || continue # only preflight reads GPUS
    if [[ -n ${!key+set} ]]; then
      finding warning env-overridden "$key=${!key} in this shell wins over .env, which says $line" \
        "unset $key, unless it is meant"
    else
      finding error env-overridden \
        "a line of yours in .env makes Compose read $key as '${asked[$key]-}', not as $line" \
        "remove that line, or give it a value"
    fi
  done
}

env_lines() { # prints the new .env; the block keeps its place
  [[ ${#lines_before[@]} -eq 0 ]] || printf '%s\n' "${lines_before[@]}"
  printf '%s\n' "$begin" "${settings[@]}" "$end"
  [[ ${#lines_after[@]} -eq 0 ]] || printf '%s\n' "${lines_after[@]}"
}

# Compose can neither insert a list for ${GPUS} nor remove a part of one, so this file contains the list.
gpus_lines() {
  echo "# Written by scripts/preflight for GPUS=$gpus: these cards in place of all, which docker-compose.yml requests."
  echo "x-gpus: &gpus"
  printf '%s\n' "  deploy:" "    resources:" "      reservations:" "        devices:" \
    "          - driver: nvidia" "            device_ids:"
  printf '              - "%s"\n' "${gpu_ids[@]}"
  printf '%s\n' "            capabilities: [gpu]" "services:" \
    "  train: *gpus" "  test: *gpus" "  check: *gpus" "  shell: *gpus"
}

cannot_write() { # path
  said
  finding error write-fails "$1 cannot be written: $shown" \
    "see to its owner, its folder's permissions and the free space"
}

# Replaces a file completely or not at all. Does not write a file that already has the content.
write_file() { # name, a command that prints the content
  local path=$project/$1 old="" new mode=644 owner=$owner_uid:$owner_gid
  "$2" > "$scratch/new"
  IFS= read -r -d '' new < "$scratch/new" || true
  if [[ -L $path || ( -e $path && ! -f $path ) ]]; then
    finding error write-fails "$path is not a plain file" "remove it, or rename it"
    return 0
  elif [[ -f $path ]]; then
    IFS= read -r -d '' old < "$path" || true
    [[ $old != "$new" ]] || return 0
    call stat -c '%a %u:%g' -- "$path"
    [[ $status == 0 && $out =~ ^([0-7]{1,4})\ ([0-9]+:[0-9]+)$ && -w $path ]] || { cannot_write "$path"; return 0; }
    mode=${BASH_REMATCH[1]} owner=${BASH_REMATCH[2]}
  fi
  call mktemp "$path.XXXXXX"
  [[ $status == 0 && $out == "$path".?????? && -f $out ]] || { cannot_write "$path"; return 0; }
  pending=$out
  if ! printf %s "$new" > "$pending"; then cannot_write "$path"; return 0; fi
  call chmod "$mode" -- "$pending"
  [[ $status == 0 ]] || { cannot_write "$path"; return 0; }
  if [[ $owner != "$EUID:${GROUPS[0]}" ]]; then
    call chown "$owner" -- "$pending"
    [[ $status == 0 || ! -e $path ]] || { cannot_write "$path"; return 0; }
  fi
  call mv -f -- "$pending" "$path"
  [[ $status == 0 && ! -e $pending ]] || { cannot_write "$path"; return 0; }
  pending=""
}

write_choice() {
  local folder
  # Docker would create these as root when it mounts them.
  for folder in build data runs; do
    [[ ! -d $project/$folder ]] || continue
    call mkdir -- "$project/$folder"
    [[ $status == 0 ]] || { cannot_write "$project/$folder"; return 0; }
    [[ $owner_uid == "$EUID" ]] || call chown "$owner_uid:$owner_gid" -- "$project/$folder"
  done
  [[ ${#gpu_ids[@]} -eq 0 ]] || write_file docker-compose.gpus.yml gpus_lines
  $failed || write_file .env env_lines
}
