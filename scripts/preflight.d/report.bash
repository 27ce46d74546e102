# shellcheck shell=bash disable=SC2034,SC2154 # shared with the other parts
# The findings of preflight, as text or as JSON. Provides finding, usage, finish.

severities=() codes=() whats=() remedies=()
failed=false reported=false

finding() { # error or warning, code, description, remedy
  severities+=("$1") codes+=("$2")
  printable "$3"
  whats+=("$shown")
  printable "$4"
  remedies+=("$shown")
  [[ $1 != error ]] || failed=true
}

usage() { # description
  finding error usage "$1" "scripts/preflight [--print] [--json] [--gpus all|none|0,1]"
  finish 2
}

finish() { # exit code
  if $json; then report_json; elif [[ $1 == 2 ]]; then report >&2; else report; fi
  reported=true
  exit "$1"
}

is_chosen() { [[ " ${chosen[*]} " == *" $1 "* ]]; } # the position of a card

line() {
  printable "$2"
  printf '%-9s %s\n' "$1" "$shown"
}

report() {
  local i text
  [[ -z $system ]] || line Host "$system $machine$(in_wsl && echo ", WSL2")"
  [[ -z $docker_version ]] || line Docker "$docker_version${engine:+ ($engine)}, Compose ${compose_version:-missing}"
  for ((i = 0; i < ${#indices[@]}; i++)); do
    text="${names[i]}, compute capability ${capabilities[i]}, driver $driver"
    is_chosen "$i" || text+=", left out"
    line "GPU ${indices[i]}" "$text"
  done
  [[ ${#indices[@]} -gt 0 ]] || $failed || line GPU "none: setting up the CPU"
  $failed || line Image "$image$($image_here && echo ", already here")"
  for ((i = 0; i < ${#codes[@]}; i++)); do
    printf '\n%s [%s] %s\n  what to do: %s\n' "${severities[i]}" "${codes[i]}" "${whats[i]}" "${remedies[i]}"
  done
  if $failed; then printf '\nNot ready; .env was not written.\n'
  elif $print; then printf '\nReady. Would write to .env:\n'; printf '  %s\n' "${settings[@]}"
  else printf '\nReady; written to .env.\n'; fi
}

quote() { # prints a JSON string
  printable "$1"
  shown=${shown//\\/\\\\}
  printf '"%s"' "${shown//\"/\\\"}"
}

report_json() {
  local i comma=""
  printf '{"ready": %s, "device": %s, "image": %s, "compose_files": %s, "gpus": %s,\n' \
    "$($failed && echo false || echo true)" "$(quote "$device")" "$(quote "$image")" "$(quote "$(compose_files)")" \
    "$(quote "$gpus_written")"
  printf ' "docker": %s, "engine": %s, "compose": %s, "cards": [' "$(quote "$docker_version")" "$(quote "$engine")" \
    "$(quote "$compose_version")"
  for ((i = 0; i < ${#indices[@]}; i++)); do
    printf '%s\n  {"index": %s, "uuid": %s, "name": %s, "compute_capability": %s, "driver": %s, "selected": %s}' \
      "$comma" "${indices[i]}" "$(quote "${uuids[i]}")" "$(quote "${names[i]}")" "$(quote "${capabilities[i]}")" \
      "$(quote "$driver")" "$(is_chosen "$i" && echo true || echo false)"
    comma=,
  done
  printf '],\n "findings": ['
  comma=""
  for ((i = 0; i < ${#codes[@]}; i++)); do
    printf '%s\n  {"severity": %s, "code": %s, "what": %s, "remedy": %s}' "$comma" "$(quote "${severities[i]}")" \
      "$(quote "${codes[i]}")" "$(quote "${whats[i]}")" "$(quote "${remedies[i]}")"
    comma=,
  done
  printf ']}\n'
}
