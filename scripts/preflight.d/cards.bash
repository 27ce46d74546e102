# shellcheck shell=bash disable=SC2034,SC2154 # shared with the other parts
# The NVIDIA cards of this host. Provides check_cards (sets indices, uuids, names, capabilities, driver) and
# select_cards (sets chosen: positions in those arrays; gpu_ids: the list for Compose, empty for all cards).

indices=() uuids=() names=() capabilities=() chosen=() gpu_ids=()
driver="" smi=nvidia-smi card_unread=false
readonly wsl_remedy="install the current NVIDIA driver on Windows and none inside WSL, then in PowerShell:\
 wsl --update; wsl --shutdown"

# Drivers before 510 do not report the compute capability. For such cards it only matters whether they are Kepler.
capability_by_name() {
  case $1 in
    *"Tesla K80"*) echo 3.7 ;;
    *Tesla\ K[0-9]* | *Quadro\ K[0-9]* | *GTX\ 6[0-9][0-9]* | *GTX\ 7[678]0* | *GT\ 7[0-9]0*) echo 3.5 ;;
    *) echo unknown ;;
  esac
}

nvidia_pci() { # whether an NVIDIA display controller is on the bus
  local device vendor class
  for device in "$root"/sys/bus/pci/devices/*; do
    { read -r vendor < "$device/vendor" && read -r class < "$device/class"; } 2> /dev/null || continue
    [[ $vendor == 0x10de && $class == 0x03* ]] && return 0
  done
  return 1
}

check_cards() {
  local fields=index,uuid,name,driver_version,compute_cap
  has "$smi" || smi=$root/usr/lib/wsl/lib/nvidia-smi
  if ! has "$smi"; then
    if in_wsl; then
      finding warning wsl-no-gpu "WSL2 without GPU support: it has no nvidia-smi; setting up the CPU" \
        "with an NVIDIA card, $wsl_remedy"
    elif nvidia_pci; then
      finding error driver-missing "an NVIDIA card is on the PCI bus, but there is no driver (no nvidia-smi)" \
        "install NVIDIA's driver, 580 or later for cards since Turing, and reboot; GPUS=none uses the CPU meanwhile"
    fi
    return 0
  fi
  call "$smi" --query-gpu="$fields" --format=csv,noheader
  [[ $out$err != *"not a valid field"* ]] || call "$smi" --query-gpu="${fields%,compute_cap}" --format=csv,noheader
  read_cards
}

# A row is a card if all its fields are valid. All other output is shown to the user.
read_cards() {
  local line rest=()
  while IFS= read -r line; do
    printable "$line"
    [[ -z $shown ]] || add_card "$shown" || rest+=("$shown")
  done <<< "$out"
  if [[ $status == hung ]]; then
    said
    finding error driver-hangs "nvidia-smi: $shown" \
      "sudo dmesg | grep -i -e nvrm -e xid says why; reboot; GPUS=none uses the CPU meanwhile"
    return 0
  fi
  if [[ ${#indices[@]} -eq 0 ]]; then
    said
    driver_fails
    return 0
  fi
  for line in "${rest[@]}"; do
    if [[ $line == [Ww][Aa][Rr][Nn][Ii][Nn][Gg]* ]]; then err+=" $line"; continue; fi
    card_unread=true
    finding warning card-unreadable "a line of nvidia-smi is no card that can be used: $line" \
      "the other lines are used; sudo dmesg | grep -i -e nvrm -e xid says more of a card that is lost"
  done
  if [[ -n $err ]]; then
    out=""
    said
    finding warning driver-says "nvidia-smi says beside its cards: $shown" \
      "nvidia-smi -q tells more; the cards are used"
  elif [[ $status != 0 ]]; then
    finding warning driver-says "nvidia-smi ends with exit code $status after its cards" \
      "nvidia-smi -h explains the code; the cards are used"
  fi
}

add_card() { # a row; fails if it is not a card
  local form='^ *(0|[1-9][0-9]{0,2}), *(GPU-[0-9A-Za-z-]{1,64}), *([^][,]+), *'
  form+='([1-9][0-9]{1,3}(\.[0-9]{1,4}){0,3})(, *(.*))?$'
  [[ $1 =~ $form ]] || return 1
  local index=${BASH_REMATCH[1]} uuid=${BASH_REMATCH[2]} name=${BASH_REMATCH[3]} version=${BASH_REMATCH[4]}
  local capability=${BASH_REMATCH[7]:-}
  [[ " ${indices[*]} ${uuids[*]} " != *" $index "* && " ${uuids[*]} " != *" $uuid "* ]] || return 1
  [[ -z $driver || $driver == "$version" ]] || return 1
  case ${capability// /} in
    "" | *N/A* | *"NotSupported"*) capability=$(capability_by_name "$name") ;;
    *) [[ $capability =~ ^([1-9][0-9]?)[.,]([0-9])\ *$ ]] || return 1
       capability=${BASH_REMATCH[1]}.${BASH_REMATCH[2]} ;;
  esac
  indices+=("$index") uuids+=("$uuid") names+=("$name") capabilities+=("$capability")
  driver=$version
}

driver_fails() { # shown: the output of nvidia-smi
  case $shown in
    *"ersion mismatch"*)
      finding error driver-mismatch "nvidia-smi: $shown" \
        "the driver was upgraded while its old kernel module is loaded: reboot" ;;
    *"couldn't communicate with the NVIDIA driver"*)
      finding error driver-silent "nvidia-smi: $shown" \
        "the kernel module is not loaded: sudo modprobe nvidia; if that fails, install the driver for this kernel again\
 (dkms status tells whether it was built) and reboot; with Secure Boot, enrol its signing key" ;;
    *"No devices were found"*)
      finding error driver-no-device "nvidia-smi: $shown" \
        "the driver is loaded but takes no card: sudo dmesg | grep NVRM says why (a card too old for this driver, the\
 open kernel module on a card before Turing, power or slot)" ;;
    *"named symbol not found"* | *"GPU access blocked"*)
      finding error wsl-driver "nvidia-smi: $shown" "$wsl_remedy" ;;
    *)
      if in_wsl; then finding error wsl-driver "nvidia-smi: $shown" "$wsl_remedy"
      else finding error driver-fails "nvidia-smi names no card: $shown" \
        "run nvidia-smi on the host until it works: reboot first; GPUS=none uses the CPU meanwhile"; fi ;;
  esac
}

# Finds the index of the card that a MIG slice belongs to; nvidia-smi -L lists the slices under their card.
card_of_slice() { # MIG-…; sets found_id
  local line card=""
  found_id=""
  call "$smi" -L
  while IFS= read -r line; do
    if [[ $line =~ ^GPU\ ([0-9]{1,3}):\  ]]; then card=${BASH_REMATCH[1]}
    elif [[ $line == *"UUID: $1)"* ]]; then found_id=$card; fi
  done <<< "$out"
}

find_card() { # index, GPU-… or MIG-…; sets found, its position; fails if there is no such card
  local i found_id=$1
  [[ $1 != MIG-* ]] || card_of_slice "$1"
  for ((i = 0; i < ${#indices[@]}; i++)); do
    if [[ $found_id == "${indices[i]}" || $found_id == "${uuids[i]}" ]]; then found=$i; return 0; fi
  done
  return 1
}

select_cards() { # in the order given
  local id found
  case $gpus in
    all)
      chosen=("${!indices[@]}")
      # A request for all cards would include those that do not respond.
      ! $card_unread || gpu_ids=("${uuids[@]}") ;;
    none) ;;
    *)
      [[ $gpus =~ ^[A-Za-z0-9/-]+(,[A-Za-z0-9/-]+)*$ ]] || usage "GPUS=$gpus: all, none, or cards as in 0,1"
      for id in ${gpus//,/ }; do
        if [[ ${#indices[@]} -eq 0 ]]; then
          $failed || finding error no-such-gpu "GPUS=$gpus, but no NVIDIA card answers here" "GPUS=none uses the CPU"
          return 0
        fi
        find_card "$id" || usage "GPUS=$gpus: there is no card $id, only $(IFS=,; echo "${indices[*]}")"
        [[ " ${gpu_ids[*]} " != *" $id "* ]] || usage "GPUS=$gpus names card $id twice"
        [[ $id == MIG-* ]] || ! is_chosen "$found" || usage "GPUS=$gpus names GPU ${indices[found]} twice"
        chosen+=("$found") gpu_ids+=("$id")
      done ;;
  esac
}
