# shellcheck shell=bash disable=SC2034,SC2154 # shared with the other parts
# The image for the selected cards, from scripts/images.tsv. Provides choose_image (sets image, or adds findings).

# Prints the table, one line per image: tag|least driver|architectures.
images() { # build or legacy
  local use tag least architectures
  while IFS=$'\t' read -r use tag least architectures; do
    [[ $use != "$1" ]] || echo "$tag|$least|$architectures"
  done < "$project/scripts/images.tsv"
}

# Whether one of these architectures covers a card of this capability. 12.0@570 requires driver 570, unless it is any.
covers() { # architectures, capability, driver's major version or any
  local arch at
  [[ $2 != unknown ]] || return 1
  for arch in $1; do
    at=${arch#*@}; [[ $arch == *@* ]] || at=0
    arch=${arch%@*}
    [[ ${arch%.*} == "${2%.*}" && ${arch#*.} -le ${2#*.} ]] && [[ $3 == any || $3 -ge $at ]] && return 0
  done
  return 1
}

# Prints the first image of the table for this driver and all these cards.
image_for() { # build or legacy, driver's major version or any, cards...
  local tag least architectures card use=$1 driver_major=$2
  shift 2
  while IFS='|' read -r tag least architectures; do
    [[ $driver_major == any || $driver_major -ge $least ]] || continue
    for card in "$@"; do covers "$architectures" "${capabilities[card]}" "$driver_major" || continue 2; done
    echo "$tag"
    return 0
  done < <(images "$use")
  return 1
}

# Prints the oldest driver with which an image covers this card or, if its capability is unknown, an image runs.
driver_for() { # capability
  local tag least architectures arch at result=99999
  while IFS='|' read -r tag least architectures; do
    for arch in $architectures; do
      at=${arch#*@}; [[ $arch == *@* ]] || at=0
      if [[ $1 == unknown ]] || covers "${arch%@*}" "$1" any; then
        ((at > least)) || at=$least
        ((at > result)) || result=$at
      fi
    done
  done < <(images build)
  echo "$result"
}

card_name() { echo "GPU ${indices[$1]} (${names[$1]}, compute capability ${capabilities[$1]})"; }

card_names() { # cards...
  local card result=""
  for card in "$@"; do result+="${result:+ and }$(card_name "$card")"; done
  echo "$result"
}

# Prints which of these cards each image covers with this driver, as settings: GPUS=0,2 (2.14.0-…) or GPUS=1 (…).
groups() { # cards...
  local tag least architectures card ids result="" major=${driver%%.*}
  while IFS='|' read -r tag least architectures; do
    ids=""
    for card in "$@"; do
      if [[ $major -ge $least ]] && covers "$architectures" "${capabilities[card]}" "$major"; then
        ids+=${ids:+,}${indices[card]}
      fi
    done
    [[ -z $ids || $result == *"GPUS=$ids "* ]] || result+="${result:+ or }GPUS=$ids ($tag)"
  done < <(images build)
  echo "$result"
}

covered_range() { # prints the lowest and highest compute capability of the table
  local tag least architectures arch lowest=99.9 highest=0.0
  while IFS='|' read -r tag least architectures; do
    for arch in $architectures; do
      arch=${arch%@*}
      ! at_least "$lowest" "$arch" || lowest=$arch
      ! at_least "$arch" "$highest" || highest=$arch
    done
  done < <(images build)
  echo "$lowest to $highest"
}

choose_image() {
  local tag="" major=any
  [[ $device == cpu ]] || major=${driver%%.*}
  if tag=$(image_for build "$major" "${chosen[@]}"); then image=pytorch/pytorch:$tag-devel
  else explain_cards; fi
}

explain_cards() { # reports why no image fits
  local major=${driver%%.*} card legacy usable=() uncovered=() old=() unclear=() others least
  for card in "${chosen[@]}"; do
    if [[ $major -lt $(driver_for "${capabilities[card]}") && ${capabilities[card]} == unknown ]]; then old+=("$card")
    elif [[ ${capabilities[card]} == unknown ]]; then unclear+=("$card")
    elif ! image_for build any "$card" > /dev/null; then uncovered+=("$card")
    elif ! image_for build "$major" "$card" > /dev/null; then old+=("$card")
    else usable+=("$card"); fi
  done
  others=$(groups "${usable[@]}")
  for card in "${unclear[@]}"; do
    finding error capability-unknown "nvidia-smi does not tell the compute capability of $(card_name "$card")" \
      "name the image yourself, e.g. BASE_IMAGE=pytorch/pytorch:$(image_for build "$major")-devel\
${others:+; or leave the card out: $others}; or use the CPU: GPUS=none"
  done
  for card in "${uncovered[@]}"; do
    if legacy=$(image_for legacy any "$card"); then
      legacy="the newest image that still has it is pytorch/pytorch:$legacy-devel, for PyTorch alone: Trainyard needs\
 LibTorch 2.10 or later"
    else
      legacy="a card newer than scripts/images.tsv needs a newer image, in BASE_IMAGE; for an older one there is none"
    fi
    finding error card-not-covered \
      "$(card_name "$card") is not covered: today's images are compiled for $(covered_range)" \
      "${others:+leave it out: $others; or }use the CPU: GPUS=none; $legacy"
  done
  for card in "${old[@]}"; do
    least=$(driver_for "${capabilities[card]}")
    finding error driver-too-old \
      "driver $driver is too old for every image that covers $(card_name "$card"): $least is the least" \
      "install driver $least or later and reboot; ${others:+or leave the card out: $others; }or use the CPU: GPUS=none"
  done
  $failed || finding error cards-differ "no image covers all of $(card_names "${chosen[@]}")" \
    "train on cards that share an image: $others; or use the CPU: GPUS=none"
}
