# shellcheck shell=bash disable=SC2034,SC2154 # shared with the other parts
# The user's own lines of .env, read as Compose reads them. Provides read_env (sets env_value: the value of each of our
# keys in these lines; lines_before and lines_after the block of preflight) and ask_compose.

readonly begin='# --- written by scripts/preflight; lines of your own go below the block, where they win ---'
readonly end='# --- end of the block ---'
readonly keys=(BASE_IMAGE RUNTIME_IMAGE COMPOSE_FILE HOST_UID HOST_GID GPUS MEMLOCK USERNS_MODE SECURITY_OPT)
lines_before=() lines_after=()
declare -A env_value=() asked=()

read_env() {
  local path=$project/.env lines=()
  if [[ -L $path ]]; then
    finding error env-symlink "$path is a symbolic link; preflight replaces files whole and would cut it" \
      "put a plain file there: cp --remove-destination \"\$(readlink -f .env)\" .env"
  elif [[ ! -e $path ]]; then return 0
  elif [[ ! -f $path ]]; then finding error env-kind "$path is not a file" "remove it, or rename it"
  elif [[ ! -r $path ]]; then finding error env-unreadable "$path may not be read" "chmod u+r .env, or chown it to you"
  elif IFS= read -r -d '' _ < "$path"; then
    finding error env-encoding "$path is not text in UTF-8: it holds a NUL" \
      "save it as UTF-8 (PowerShell's > writes UTF-16)"
  else
    mapfile -t lines < "$path"
    split_lines "${lines[@]}"
    [[ ${#lines_before[@]} -eq 0 && ${#lines_after[@]} -eq 0 ]] || read_values
  fi
}

split_lines() { # the lines of .env
  local line place=before
  for line in "$@"; do
    line=${line#$'\xef\xbb\xbf'}
    case ${line%$'\r'} in
      "$begin") place=block ;;
      "$end") place=after ;;
      *)
        case $place in before) lines_before+=("$line") ;; after) lines_after+=("$line") ;; esac ;;
    esac
  done
  # A first block is written at the top.
  [[ $place != before ]] || { lines_after=("${lines_before[@]}"); lines_before=(); }
  [[ $place != block ]] || finding error env-block "in .env the block of scripts/preflight has no end" \
    "put back the line: $end"
}

read_values() {
  printf '%s\n' "${lines_before[@]}" "${lines_after[@]}" > "$scratch/env"
  if [[ -n $compose_version ]]; then
    # This shell's own variables would override the lines.
    ask_compose env "${keys[@]/#/-u}" || return 0
  else
    read_without_compose
  fi
  local key
  for key in "${!asked[@]}"; do env_value[$key]=${asked[$key]}; done
  for key in BASE_IMAGE GPUS; do
    [[ ${env_value[$key]:-} != *[\\\"\$]* ]] ||
      finding error env-value "in .env, $key=${env_value[$key]} is no such value" \
        "correct the line; .env.example shows what it may say"
  done
}

# Sets asked to what Compose reads from the file $scratch/env. Needs no daemon.
ask_compose() { # a command before docker, or nothing
  local key line
  asked=()
  {
    printf '%s\n' "name: preflight" "services:" "  ask:" "    image: none" "    labels:"
    # shellcheck disable=SC2016 # for Compose
    for key in "${keys[@]}"; do printf '      %s: "${%s+set}=${%s-}"\n' "$key" "$key" "$key"; done
  } > "$scratch/ask.yml"
  call "$@" docker compose --project-directory "$project" --env-file "$scratch/env" -f "$scratch/ask.yml" \
    config --format json
  local seen=0 form='^ *"([A-Z_]+)": "(set)?=(.*)",?$'
  while IFS= read -r line; do
    [[ $line =~ $form && " ${keys[*]} " == *" ${BASH_REMATCH[1]} "* ]] || continue
    seen=$((seen + 1))
    [[ -z ${BASH_REMATCH[2]} ]] || asked[${BASH_REMATCH[1]}]=${BASH_REMATCH[3]//\$\$/\$}
  done <<< "$out"
  [[ $status == 0 && $seen == "${#keys[@]}" ]] && return 0
  said
  finding error env-not-read "Compose cannot read .env: ${shown//"$scratch/env"/.env}" \
    "correct the line that it names; docker compose config must work first"
  return 1
}

# Without Compose, accepts only simple lines: KEY=value with or without quotes. Sets asked.
read_without_compose() {
  local line number=0 key value
  local form='^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_.-]*)[[:space:]]*[=:][[:space:]]*(.*)$'
  local double='^"([^"\$]*)"[[:space:]]*(#.*)?$' single="^'([^'\\]*)'[[:space:]]*(#.*)?\$" plain="^([^\"'\\\$]*)\$"
  asked=()
  while IFS= read -r line; do
    number=$((number + 1)) line=${line%$'\r'}
    [[ ! $line =~ ^[[:space:]]*(#.*)?$ ]] || continue
    if [[ $line =~ $form ]]; then
      key=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]}
      if [[ $value =~ $double || $value =~ $single ]]; then
        asked[$key]=${BASH_REMATCH[1]}
        continue
      elif [[ $value =~ $plain ]]; then
        value=${value%%[[:space:]]\#*}
        asked[$key]=${value%"${value##*[![:space:]]}"}
        continue
      elif [[ $value != [\"\']* && " ${keys[*]} " != *" $key "* ]]; then continue
      fi
    fi
    finding error env-unclear "line $number of .env is for Compose alone to read: $line" \
      "install Compose; see compose-missing"
    asked=()
    return 0
  done < "$scratch/env"
}
