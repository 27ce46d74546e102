// The driver is installed but CUDA shows no GPU. Ordered from cause to consequence: an earlier rule's finding explains
// what later rules would find.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/place.h"
#include "check/rules.h"
#include "check/visible_devices.h"

namespace trainyard::rules {
namespace {

constexpr auto error = Severity::error;

bool has_node(const Facts& facts, std::string_view name) {
  return std::any_of(facts.host.device_nodes.begin(), facts.host.device_nodes.end(),
                     [&](const DeviceNode& node) { return node.name == name; });
}

const DeviceNode* closed_node(const Facts& facts) {
  const auto& nodes = facts.host.device_nodes;
  const auto found =
      std::find_if(nodes.begin(), nodes.end(), [](const DeviceNode& node) { return !node.error.empty(); });
  return found == nodes.end() ? nullptr : &*found;
}

std::string libcuda_is(const Facts& facts, const char* before) {
  return facts.driver.libcuda.empty() ? "" : before + facts.driver.libcuda;
}

// Another libcuda is found before the driver's own.
void add_own_libcuda(Remedy& remedy, const char* folders) {
  remedy.add(fmt::format("take {} out of LD_LIBRARY_PATH", folders), {{"env.LD_LIBRARY_PATH", ""}});
  remedy.add("remove the copy that `ldconfig -p | grep libcuda` shows before the driver's");
}

const ProbeFacts* failed_start(const Facts& facts, std::string_view outcome) {
  const auto found = std::find_if(facts.probes.begin(), facts.probes.end(), [&](const ProbeFacts& probe) {
    return probe.device == driver_device && probe.outcome == outcome;
  });
  return found == facts.probes.end() ? nullptr : &*found;
}

// These come first: without the process that asks the driver nothing is known about CUDA.
Result driver_not_asked(const Facts& facts, const Needs&) {
  const ProbeFacts* start = failed_start(facts, "error");
  if (!start) return {};
  return finding(error, "no process can be started that asks CUDA's driver for GPUs" + quoted_message(start->message),
                 "this user or the container has reached its limit of processes, or may not fork",
                 "see `ulimit -u` and the container's limit of processes (--pids-limit)");
}

Result driver_crashed(const Facts& facts, const Needs&) {
  const ProbeFacts* start = failed_start(facts, "crashed");
  if (!start) return {};
  return finding(error, "CUDA's driver crashed when it was started" + quoted_message(start->message),
                 "a driver that does not fit its kernel module, a damaged installation, or a defective GPU",
                 kernel_log(facts, "nvrm -e xid") + "; " + reboot(facts) + "; if it stays, reinstall the driver");
}

Result driver_hung(const Facts& facts, const Needs&) {
  const ProbeFacts* start = failed_start(facts, "hung");
  if (!start) return {};
  return finding(error, "CUDA's driver hung when it was started" + quoted_message(start->message),
                 "a GPU does not answer, or another process blocks the driver",
                 "`nvidia-smi` shows whether it answers; " + kernel_log(facts, "nvrm -e xid") + "; " + reboot(facts));
}

// File permissions: EACCES, and NVML's code for it (4).
Result device_permission(const Facts& facts, const Needs& needs) {
  const DeviceNode* node = closed_node(facts);
  const bool closed = node && node->error == "Permission denied";
  const bool seen = missed(facts, needs) && (closed || facts.driver.nvml_code == 4);
  const bool words = probe_message_contains(facts, "Insufficient Permissions") ||
                     engine_message_contains(facts, "insufficient permissions");
  if (!seen && !words) return {};
  const bool podman = facts.host.container == "podman";
  std::string remedy =
      on_host(facts) +
      "`ls -l /dev/nvidia*` shows who may; add the user to that group (often `video`) and log in again";
  if (in_container(facts) || engine_message_contains(facts, "")) {
    remedy += podman ? "; rootless Podman: start it with `--group-add keep-groups` as well"
                     : "; rootless Podman: `--group-add keep-groups` as well";
    remedy += "; with SELinux: `--security-opt label=disable`";
  }
  return finding(error,
                 closed ? fmt::format("/dev/{} cannot be opened: {}", node->name, node->error)
                        : std::string("the driver refuses this user: Insufficient Permissions"),
                 "this user has no right to the GPU's device files, or SELinux forbids them to the container",
                 std::move(remedy));
}

// The container's device permissions: EPERM, and NVML's error for it.
Result devices_revoked(const Facts& facts, const Needs& needs) {
  const DeviceNode* node = closed_node(facts);
  const bool unknown = facts.driver.nvml_code == 999;
  const bool seen = missed(facts, needs) && in_container(facts) && (node || unknown);
  if (!seen && !probe_message_contains(facts, "Failed to initialize NVML: Unknown Error")) return {};
  return finding(
      error,
      node ? fmt::format("/dev/{} cannot be opened: {}", node->name, node->error)
           : std::string("Failed to initialize NVML: Unknown Error"),
      "the container's right to the GPU was taken back, as `systemctl daemon-reload` on the host does, or was "
      "never given (`no-cgroups = true` for a Docker that is not rootless)",
      "restart the container; lastingly: give the GPU by CDI (`--device nvidia.com/gpu=all`), and on the "
      "host `sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups=false --in-place` unless Docker "
      "is rootless");
}

Result driver_library_mismatch(const Facts& facts, const Needs& needs) {
  const bool nvml = missed(facts, needs) && facts.driver.nvml_code == 18;
  constexpr const char* words = "Driver/library version mismatch";
  if (!nvml && !probe_message_contains(facts, words) && !engine_message_contains(facts, words)) return {};
  const std::string& module = facts.host.kernel_module;
  return finding(error, "the driver's libraries and its kernel module differ: Driver/library version mismatch",
                 fmt::format("the driver was upgraded while the old kernel module stayed loaded{}",
                             module.empty() ? "" : " (" + module + ")"),
                 reboot(facts) + (in_container(facts) ? "; then start the container anew" : ""));
}

Result libcuda_stub(const Facts& facts, const Needs& needs) {
  const bool stub = facts.driver.init_code == 34 || facts.driver.libcuda.find("/stubs/") != std::string::npos;
  if ((!missed(facts, needs) || !stub) && !probe_message_contains(facts, "CUDA driver is a stub library")) return {};
  Remedy remedy(facts, needs);
  add_own_libcuda(remedy, "the stubs folder");
  return finding(error, "the CUDA driver library that is found is a stub" + libcuda_is(facts, ": "),
                 "a toolkit's stubs folder, meant for linking only, is on the library path" + library_path(facts),
                 remedy);
}

Result libcuda_missing(const Facts& facts, const Needs& needs) {
  const bool absent = missed(facts, needs) && facts.driver.libcuda.empty();
  const bool words = probe_message_contains(facts, "libcuda.so.1: cannot open") ||
                     probe_message_contains(facts, "libnvidia-ml.so.1: cannot open");
  if (!absent && !words) return {};
  const std::string what =
      "the driver's libraries are not found" + quoted_message(absent ? facts.driver.libcuda_error : "");
  Remedy remedy(facts, needs);
  if (facts.host.wsl2 && !in_container(facts)) {
    remedy.add("`export LD_LIBRARY_PATH=/usr/lib/wsl/lib`, where WSL2 keeps them",
               {{"env.LD_LIBRARY_PATH", "/usr/lib/wsl/lib"}});
    remedy.add("`wsl --update` in Windows brings them");
    return finding(error, what, "WSL2 keeps them in /usr/lib/wsl/lib", remedy);
  }
  if (in_container(facts)) {
    const std::string* capabilities = variable(facts, "NVIDIA_DRIVER_CAPABILITIES");
    const bool compute = capabilities && (contains(*capabilities, "compute") || *capabilities == "all");
    if (!compute) {
      remedy.add("start the container anew with `-e NVIDIA_DRIVER_CAPABILITIES=compute,utility`",
                 {{"env.NVIDIA_DRIVER_CAPABILITIES", "compute,utility"}});
    }
    remedy.add(
        "on the host: `nvidia-container-cli list` shows what it gives; install the driver's CUDA part there "
        "(Debian: libcuda1, Ubuntu: libnvidia-compute-<branch>)");
    return finding(error, what, "the container was given the device but not the driver's compute libraries", remedy);
  }
  remedy.add("install the driver's CUDA part (Debian: libcuda1, Ubuntu: libnvidia-compute-<branch>)");
  remedy.add(
      "if this was said in a container: start it with `--gpus all` and NVIDIA_DRIVER_CAPABILITIES=compute,utility");
  return finding(error, what, "the driver's CUDA part is not installed", remedy);
}

Result cuda_803(const Facts& facts, const Needs& needs) {
  if (!cuda_error(facts, 803, "unsupported display driver / cuda driver combination")) return {};
  Remedy remedy(facts, needs);
  remedy.add(reboot(facts) + (in_container(facts) ? " and start the container anew, if the driver was updated" : ""));
  add_own_libcuda(remedy, "compat folders");
  return finding(
      error, "libcuda and the kernel module are of different drivers (error 803)" + libcuda_is(facts, "; libcuda is "),
      "the driver was upgraded, or another libcuda is found first" + library_path(facts), remedy);
}

Result cuda_804(const Facts& facts, const Needs& needs) {
  if (!cuda_error(facts, 804, "forward compatibility was attempted on non supported")) return {};
  Remedy remedy(facts, needs);
  remedy.add("take the compat folder out of LD_LIBRARY_PATH", {{"env.LD_LIBRARY_PATH", ""}});
  remedy.add("remove /usr/local/cuda/compat, or the package cuda-compat, in this place");
  remedy.add(on_host(facts) + "update the driver to 580 or newer", {{"driver", "580"}});
  return finding(
      error, "CUDA's forward compatibility does not serve this GPU (error 804)" + libcuda_is(facts, "; libcuda is "),
      "cuda-compat works on data-centre GPUs only, and is found before the driver's own libcuda" + library_path(facts),
      remedy);
}

Result fabric_manager(const Facts& facts, const Needs&) {
  if (!cuda_error(facts, 802, "system not yet initialized")) return {};
  const std::string version = driver_version(facts);
  const std::string state = facts.driver.cards.empty() ? "" : facts.driver.cards[0].fabric;
  const int switches = facts.host.nvswitches;
  return finding(
      error,
      fmt::format("CUDA says: system not yet initialized (error 802){}",
                  switches > 0 ? fmt::format("; NVSwitches seen: {}", switches) : ""),
      fmt::format("GPUs behind NVSwitch need the Fabric Manager running, in exactly the driver's version{}{}",
                  version.empty() ? "" : ", " + version, state.empty() ? "" : "; it is " + state),
      fmt::format("{}install nvidia-fabricmanager{}, then `sudo systemctl enable --now nvidia-fabricmanager`",
                  on_host(facts), version.empty() ? " of the driver's version" : " of version " + version));
}

Result wsl_driver_mix(const Facts& facts, const Needs& needs) {
  const int code = facts.driver.init_code;
  const bool hidden = variable(facts, "CUDA_VISIBLE_DEVICES") && (code == 100 || code == 101);
  const bool fails = missed(facts, needs) && facts.host.wsl2 && code > 0 && !hidden;
  if (!fails && !probe_message_contains(facts, "named symbol not found")) return {};
  const std::string& words = facts.driver.init_error;
  return finding(error,
                 "CUDA does not start under WSL2: " + (words.empty() ? "named symbol not found (error 500)" : words),
                 "usually a Linux driver installed inside WSL" + libcuda_is(facts, "; libcuda is "),
                 "keep the driver in Windows only: inside WSL `sudo apt purge '^nvidia-.*' '^libnvidia-.*'` (the "
                 "container toolkit is installed again then), in Windows `wsl --update` and `wsl --shutdown`");
}

Result mig_without_instance(const Facts& facts, const Needs& needs) {
  const auto card = std::find_if(facts.driver.cards.begin(), facts.driver.cards.end(),
                                 [](const CardFacts& each) { return each.mig; });
  if (!missed(facts, needs) || card == facts.driver.cards.end()) return {};
  const std::string name = card->name.empty() ? "a card" : card->name;
  // If there are instances, a variable that hides them is the cause.
  if (card->mig_instances > 0 && variable(facts, "CUDA_VISIBLE_DEVICES")) return {};
  if (card->mig_instances > 0) {
    return finding(error,
                   fmt::format("{} is in MIG mode; {} instances are there, none is given to this process", name,
                               card->mig_instances),
                   "a card in MIG mode computes only through its instances",
                   in_container(facts) ? "start the container with `--gpus '\"device=MIG-<uuid>\"'`, one that "
                                         "`nvidia-smi -L` on the host lists"
                                       : "set CUDA_VISIBLE_DEVICES to one that `nvidia-smi -L` lists, MIG-<uuid>");
  }
  return finding(error, name + " is in MIG mode and shows no instance",
                 "a card in MIG mode computes only through its instances: none was made, or none was given to us",
                 on_host(facts) +
                     "`nvidia-smi -L` lists them; `sudo nvidia-smi mig -lgip` shows the sizes, `sudo "
                     "nvidia-smi mig -cgi 0 -C` makes the largest; or `sudo nvidia-smi -mig 0` ends MIG mode");
}

Result cuda_visible_devices(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "CUDA_VISIBLE_DEVICES");
  const int code = facts.driver.init_code;
  if (!missed(facts, needs) || !value || (code != 100 && code != 101 && code != 0)) return {};
  const std::vector<std::string> entries = visible_entries(*value);
  std::string why = entry_fault(entries, 0);
  if (entries[0].empty()) why = "an empty list shows none";
  if (code == 101) why = "it names a GPU twice, which CUDA refuses (error 101)";
  if (why.empty()) {
    const std::size_t cards = facts.driver.cards.size();
    why = fmt::format("its first entry, {}, is not here{}", entries[0],
                      cards > 0 ? fmt::format("; this machine has {}, counted from 0", cards) : "");
  }
  Remedy remedy(facts, needs);
  remedy.add("unset CUDA_VISIBLE_DEVICES", {{"env.CUDA_VISIBLE_DEVICES", ""}});
  remedy.add("set it to indices or UUIDs that `nvidia-smi -L` lists, with commas between them");
  return finding(error,
                 entries[0].empty() ? std::string("CUDA_VISIBLE_DEVICES is empty and hides every GPU")
                                    : fmt::format("CUDA_VISIBLE_DEVICES={} hides every GPU", *value),
                 std::move(why), remedy);
}

Result uvm_missing(const Facts& facts, const Needs& needs) {
  if (!missed(facts, needs) || !has_node(facts, "nvidiactl") || has_node(facts, "nvidia-uvm")) return {};
  return finding(error, "/dev/nvidia-uvm is missing, which CUDA cannot do without",
                 "the kernel module nvidia_uvm is not loaded, or the device was not given to the container",
                 on_host(facts) + "`sudo nvidia-modprobe -u -c=0`" +
                     (in_container(facts) ? "; then start the container anew" : ""));
}

Result address_space_limited(const Facts& facts, const Needs& needs) {
  constexpr std::uint64_t least = 1ull << 40;
  const Limit& limit = facts.limits.address_space;
  if (!missed(facts, needs) || facts.driver.init_code <= 0 || !limit || *limit >= least) return {};
  Remedy remedy(facts, needs);
  remedy.add("`ulimit -v unlimited` in the shell that starts the run", {{"limits.address_space", "unlimited"}});
  return finding(error, fmt::format("CUDA does not start within {} of address space", size_text(*limit)),
                 "CUDA reserves addresses for the memory of all GPUs and the host, far more than it uses", remedy);
}

// cudaErrorOperatingSystem: a system call by the driver was denied.
Result cuda_304(const Facts& facts, const Needs&) {
  if (!cuda_error(facts, 304, "OS call failed or operation not supported on this OS")) return {};
  const std::string module = "`sudo nvidia-modprobe -u -c=0`, or " + reboot(facts);
  return finding(
      error, "CUDA says: OS call failed or operation not supported on this OS (error 304)",
      "the kernel refused a call of the driver: in a container its seccomp profile (memfd_create, e.g.) or its device "
      "rights, elsewhere a missing device file or limit",
      in_container(facts)
          ? "restart the container, which gives it its device rights again; `--security-opt seccomp=unconfined` shows "
            "whether the profile is the cause: update Docker and libseccomp on the host, or allow the call there"
          : module + "; in a container: `--security-opt seccomp=unconfined` shows whether its profile is the cause");
}

Result cuda_unknown_error(const Facts& facts, const Needs& needs) {
  const bool at_start = missed(facts, needs) && facts.driver.init_code == 999;
  if (!at_start && !probe_message_contains(facts, "CUDA unknown error") &&
      !probe_message_contains(facts, "CUDA error: unknown error"))
    return {};
  return finding(error, "CUDA says: unknown error (999)",
                 "the kernel module nvidia_uvm is in a bad state, as after a suspend or half an upgrade",
                 facts.host.wsl2
                     ? reboot(facts)
                     : on_host(facts) + "`sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm`, or " + reboot(facts));
}

// The oldest driver that serves the CUDA that LibTorch was built for.
const char* least_driver(const Facts& facts) { return major_of(facts.torch.cuda_compiled) >= 13 ? "580" : "525"; }

// A libcuda that is older than the driver is a stray one; a newer driver does not help then. `is_older`: than LibTorch
// needs; otherwise there may be no driver.
Remedy remedy_of_old_driver(const Facts& facts, const Needs& needs, bool is_older) {
  const char* const least = least_driver(facts);
  Remedy remedy(facts, needs);
  if (!is_older && in_container(facts)) remedy.add(pass_gpus(facts));
  if (!is_older && !in_container(facts) && !gpu_on_host(facts)) {
    remedy.add("in a container: start it with `--gpus all`");
  }
  remedy.add(fmt::format("{}install driver {} or newer", on_host(facts), least), {{"driver", least}});
  if (remedy.empty() || (is_older && already_applied({"driver", least}, facts, needs))) {
    add_own_libcuda(remedy, "another libcuda's folder");
  }
  if (major_of(facts.torch.cuda_compiled) >= 13) add_libtorch(remedy, facts, "12.6");
  return remedy;
}

Result driver_too_old(const Facts& facts, const Needs& needs) {
  const int wanted = major_of(facts.torch.cuda_compiled);
  const int known = facts.driver.cuda_version;
  const bool is_older = known >= 1000 && known / 1000 < wanted;
  const bool toolchain = probe_message_contains(facts, "PTX was compiled with an unsupported toolchain");
  const bool says_so = toolchain || cuda_error(facts, 35, "driver version is insufficient");
  if (!says_so && !(is_older && (gpu_on_host(facts) || needs.device.starts_with("cuda")))) return {};
  const Remedy remedy = remedy_of_old_driver(facts, needs, is_older);
  const std::string needed =
      wanted > 0 ? fmt::format("CUDA {} needs driver {} at least", wanted, least_driver(facts)) : "";
  if (toolchain) {
    return finding(error, "CUDA says: the provided PTX was compiled with an unsupported toolchain (error 222)",
                   "the driver is older than the CUDA compiler of a kernel that is compiled for the card at run time",
                   remedy);
  }
  if (!is_older) {
    return finding(error, "CUDA says: driver version is insufficient for the runtime's version (error 35)",
                   "the driver is too old, or there is none: no GPU was passed to the container, or it is being built" +
                       (needed.empty() ? "" : "; " + needed),
                   remedy);
  }
  const std::string version = driver_version(facts);
  return finding(error,
                 fmt::format("{} serves CUDA up to {}.{}, LibTorch needs CUDA {}",
                             version.empty() ? "the driver" : "driver " + version, known / 1000, known % 1000 / 10,
                             facts.torch.cuda_compiled),
                 needed + libcuda_is(facts, "; libcuda is "), remedy);
}

Result cuda_init_failed(const Facts& facts, const Needs& needs) {
  if (!missed(facts, needs) || facts.driver.init_code <= 0) return {};
  const std::string& words = facts.driver.init_error;
  return finding(
      error, fmt::format("CUDA does not start{} (error {})", words.empty() ? "" : ": " + words, facts.driver.init_code),
      "the driver refuses; " + kernel_log(facts, "nvrm -e xid"), reboot(facts) + "; if it stays, reinstall the driver");
}

Result gpu_not_visible(const Facts& facts, const Needs& needs) {
  const bool words = probe_message_contains(facts, "no CUDA-capable device is detected") ||
                     probe_message_contains(facts, "No CUDA GPUs are available");
  if (!missed(facts, needs) && !words) return {};
  return finding(error, "CUDA sees no GPU",
                 words ? "none was given to the container, CUDA_VISIBLE_DEVICES hides it, or the driver lost it"
                       : "the driver is loaded and starts, yet lists no device",
                 "compare with `nvidia-smi -L`" + std::string(in_container(facts) ? " here and on the host" : "") +
                     "; `trainyard check` finds the cause where the error was; " + reboot(facts));
}

Result device_index(const Facts& facts, const Needs& needs) {
  if (facts.devices.empty()) return {};
  std::vector<std::string> names;
  std::vector<int> missing = listed_devices(needs);
  for (const DeviceFacts& device : facts.devices) {
    std::erase(missing, device.index);
    if (names.size() < 8) names.push_back(fmt::format("cuda:{}", device.index));
  }
  if (missing.empty()) return {};
  const std::string* visible = variable(facts, "CUDA_VISIBLE_DEVICES");
  const std::size_t count = facts.devices.size();
  Remedy remedy(facts, needs);
  remedy.add("use --train.device " + names[0], {{"train.device", names[0]}});
  return finding(error,
                 fmt::format("there is no cuda:{}, there {}: {}{}", missing[0],
                             count == 1 ? "is one GPU" : fmt::format("are {} GPUs", count), fmt::join(names, " "),
                             count > names.size() ? " ..." : ""),
                 visible && !visible->empty()
                     ? fmt::format("CUDA_VISIBLE_DEVICES={} filters and renumbers them", *visible)
                     : "GPUs are counted from 0",
                 remedy);
}

constexpr Rule table[] = {
    {"driver-not-asked", "driver", driver_not_asked},
    {"driver-crashed", "driver", driver_crashed},
    {"driver-hung", "driver", driver_hung},
    {"device-permission", "driver", device_permission},
    {"devices-revoked", "driver", devices_revoked},
    {"driver-library-mismatch", "driver", driver_library_mismatch},
    {"libcuda-stub", "driver", libcuda_stub},
    {"libcuda-missing", "driver", libcuda_missing},
    {"cuda-803", "driver", cuda_803},
    {"cuda-804", "driver", cuda_804},
    {"fabric-manager", "driver", fabric_manager},
    {"wsl-driver-mix", "driver", wsl_driver_mix},
    {"mig-without-instance", "gpu", mig_without_instance},
    {"cuda-visible-devices", "gpu", cuda_visible_devices},
    {"uvm-missing", "driver", uvm_missing},
    {"address-space-limited", "limits", address_space_limited},
    {"cuda-304", "driver", cuda_304},
    {"cuda-unknown-error", "driver", cuda_unknown_error},
    {"driver-too-old", "driver", driver_too_old},
    {"cuda-init-failed", "driver", cuda_init_failed},
    {"gpu-not-visible", "gpu", gpu_not_visible},
    {"device-index", "gpu", device_index},
};

}  // namespace

std::span<const Rule> failing_driver() { return table; }

}  // namespace trainyard::rules
