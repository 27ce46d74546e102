# shellcheck shell=bash disable=SC2154 # what scripts/preflight sets
# The cards of this host and the image that fits them; a part of scripts/preflight, which sources it.
# Takes: gpus (all, none or a list), kernel, root, project, failed, finding, has, in_wsl, usage.
# Gives: look_at_cards (indices, uuids, names, capabilities, driver), select_cards (chosen: places in those arrays;
# gpu_ids: the list asked for, empty for all), image_for, choose_image (tag, or findings).

indices=() uuids=() names=() capabilities=() chosen=()
driver=

# Drivers before 510 do not tell the compute capability. What matters of such cards is whether they are Kepler.
capability_by_name() {
  case $1 in
    *"Tesla K80"*) echo 3.7 ;;
    *Tesla\ K[0-9]* | *Quadro\ K[0-9]* | *GTX\ 6[0-9][0-9]* | *GTX\ 7[678]0* | *GT\ 7[0-9]0*) echo 3.5 ;;
    *) echo unknown ;;
  esac
}

nvidia_pci() { # an NVIDIA display controller on the bus
  local device
  for device in "$root"/sys/bus/pci/devices/*; do
    [[ -r $device/vendor && -r $device/class ]] || continue
    [[ $(< "$device/vendor") == 0x10de && $(< "$device/class") == 0x03* ]] && return 0
  done
  return 1
}

driver_fails() { # what nvidia-smi printed
  local said=${1//$'\n'/ }
  case $said in
    *"ersion mismatch"*)
      finding error driver-mismatch "nvidia-smi: $said" \
        "the driver was upgraded while its old kernel module is loaded: reboot" ;;
    *"couldn't communicate with the NVIDIA driver"*)
      finding error driver-silent "nvidia-smi: $said" \
        "the kernel module is not loaded: sudo modprobe nvidia; if that fails, install the driver for this kernel again\
 (dkms status tells whether it was built) and reboot; with Secure Boot, enrol its signing key" ;;
    *"No devices were found"*)
      finding error driver-no-device "nvidia-smi: $said" \
        "the driver is loaded but takes no card: sudo dmesg | grep NVRM says why (a card too old for this driver, the\
 open kernel module on a card before Turing, power or slot)" ;;
    *"named symbol not found"* | *"GPU access blocked"*)
      finding error wsl-driver "nvidia-smi: $said" "$wsl_remedy" ;;
    *)
      if in_wsl; then finding error wsl-driver "nvidia-smi: $said" "$wsl_remedy"
      else finding error driver-fails "nvidia-smi: ${said:-fails without a word}" \
        "run nvidia-smi on the host until it works: reboot first; GPUS=none uses the CPU meanwhile"; fi ;;
  esac
}
readonly wsl_remedy="install the current NVIDIA driver on Windows and none inside WSL, then in PowerShell:\
 wsl --update; wsl --shutdown"

look_at_cards() {
  local smi=nvidia-smi output fields=index,uuid,name,driver_version,compute_cap index uuid name version capability
  has nvidia-smi || smi=$root/usr/lib/wsl/lib/nvidia-smi
  if ! has "$smi"; then
    if in_wsl; then
      if [[ $gpus != none ]]; then
        finding warning wsl-no-gpu "WSL2 without GPU support: it has no nvidia-smi; setting up the CPU" \
          "with an NVIDIA card, $wsl_remedy"
      fi
    elif nvidia_pci && [[ $gpus != none ]]; then
      finding error driver-missing "an NVIDIA card is on the PCI bus, but there is no driver (no nvidia-smi)" \
        "install NVIDIA's driver, 580 or later for cards since Turing, and reboot; GPUS=none uses the CPU meanwhile"
    fi
    return 0
  fi
  if ! output=$("$smi" --query-gpu="$fields" --format=csv,noheader 2>&1); then
    fields=${fields%,compute_cap}
    if [[ $output != *"not a valid field"* ]] ||
       ! output=$("$smi" --query-gpu="$fields" --format=csv,noheader 2>&1); then
      [[ $gpus == none ]] || driver_fails "$output"
      return 0
    fi
  fi
  while IFS=, read -r index uuid name version capability; do
    indices+=("${index// /}") uuids+=("${uuid// /}") names+=("${name# }") driver=${version// /}
    capability=${capability// /}
    capabilities+=("${capability:-$(capability_by_name "$name")}")
  done <<< "$output"
}

# The place in our arrays of a card given as index, GPU-… or MIG-…; fails for one that is not there.
find_card() {
  local i id=$1
  if [[ $id == MIG-* ]]; then # nvidia-smi -L lists the slices under their card
    id=$("$(has nvidia-smi && echo nvidia-smi || echo "$root/usr/lib/wsl/lib/nvidia-smi")" -L |
      awk -v id="$id" '/^GPU / {sub(":", "", $2); card = $2} index($0, id ")") {print card}')
  fi
  for ((i = 0; i < ${#indices[@]}; i++)); do
    if [[ $id == "${indices[i]}" || $id == "${uuids[i]}" ]]; then found=$i; return 0; fi
  done
  return 1
}

select_cards() { # sets chosen, in the order asked for, and gpu_ids
  local id i found
  gpu_ids=()
  case $gpus in
    all) for ((i = 0; i < ${#indices[@]}; i++)); do chosen+=("$i"); done ;;
    none) ;;
    *)
      [[ $gpus =~ ^[A-Za-z0-9/-]+(,[A-Za-z0-9/-]+)*$ ]] || usage "GPUS=$gpus: all, none, or cards as in 0,1"
      for id in ${gpus//,/ }; do
        if [[ ${#indices[@]} -eq 0 ]]; then
          $failed || finding error no-such-gpu "GPUS=$gpus, but no NVIDIA card answers here" "GPUS=none uses the CPU"
          return 0
        fi
        find_card "$id" || usage "GPUS=$gpus: there is no card $id, only $(IFS=,; echo "${indices[*]}")"
        [[ " ${gpu_ids[*]-} " != *" $id "* ]] || usage "GPUS=$gpus names card $id twice"
        chosen+=("$found") gpu_ids+=("$id")
      done ;;
  esac
}

# ---- the image -------------------------------------------------------------------------------------------------------

# The table, a line an image: tag|least driver|architectures.
images() { awk -F'\t' -v use="$1" '$1 == use {print $2 "|" $3 "|" $4}' "$project/scripts/images.tsv"; }

# Does one of these architectures cover a card of that capability? With a driver given, 12.0@570 wants it to be 570.
covers() { # architectures, capability, driver's major version or any
  local arch at
  for arch in $1; do
    at=${arch#*@}; [[ $arch == *@* ]] || at=0
    arch=${arch%@*}
    [[ ${arch%.*} == "${2%.*}" && ${arch#*.} -le ${2#*.} ]] && [[ $3 == any || $3 -ge $at ]] && return 0
  done
  return 1
}

# The first image of the table for that driver and all these cards.
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

# The least driver with which some image covers this card.
driver_for() {
  local tag least architectures arch at
  while IFS='|' read -r tag least architectures; do
    for arch in $architectures; do
      at=${arch#*@}; [[ $arch == *@* ]] || at=0
      if covers "${arch%@*}" "$1" any; then echo $((at > least ? at : least)); fi
    done
  done < <(images build) | sort -n | head -n 1
}

card_name() { echo "GPU ${indices[$1]} (${names[$1]}, compute capability ${capabilities[$1]})"; }

choose_image() {
  local major=${driver%%.*} card legacy usable=() uncovered=() old=() others="" least
  tag=$(image_for build "$major" "${chosen[@]}") && return 0
  for card in "${chosen[@]}"; do
    if [[ ${capabilities[card]} == unknown ]]; then old+=("$card")
    elif ! image_for build any "$card" > /dev/null; then uncovered+=("$card")
    elif ! image_for build "$major" "$card" > /dev/null; then old+=("$card")
    else usable+=("$card"); fi
  done
  others=$(groups ${usable[@]+"${usable[@]}"})
  for card in ${uncovered[@]+"${uncovered[@]}"}; do
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
  for card in ${old[@]+"${old[@]}"}; do
    least=525
    [[ ${capabilities[card]} == unknown ]] || least=$(driver_for "${capabilities[card]}")
    finding error driver-too-old \
      "driver $driver is too old for every image that covers $(card_name "$card"): $least is the least" \
      "install driver $least or later and reboot; ${others:+or leave the card out: $others; }or use the CPU: GPUS=none"
  done
  $failed || finding error cards-differ "no image covers all of $(card_names "${chosen[@]}")" \
    "train on cards that share an image: $others; or use the CPU: GPUS=none"
}

# For each image, which of these cards it covers with this driver, as settings: GPUS=0,2 (2.14.0-…) or GPUS=1 (…).
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

card_names() {
  local card result=""
  for card in "$@"; do result+="${result:+ and }$(card_name "$card")"; done
  echo "$result"
}

covered_range() { # the lowest and highest compute capability of the table
  images build | cut -d'|' -f3 | tr ' ' '\n' | sed 's/@.*//' | sort -V | sed -n '1p;$p' | paste -sd- - | sed 's/-/ to /'
}
