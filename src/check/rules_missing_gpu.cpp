#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "check/rules.h"

namespace trainyard::rules {
namespace {

constexpr auto error = Severity::error;

bool has_node(const Facts& facts, std::string_view name) {
  return std::any_of(facts.host.device_nodes.begin(), facts.host.device_nodes.end(),
                     [&](const DeviceNode& node) { return node.name == name; });
}

// nvidia0, nvidia1, ...; or the one device of WSL2.
bool has_gpu_node(const Facts& facts) {
  return std::any_of(facts.host.device_nodes.begin(), facts.host.device_nodes.end(), [](const DeviceNode& node) {
    return node.name == "dxg" ||
           (node.name.starts_with("nvidia") && node.name.size() > 6 && node.name[6] >= '0' && node.name[6] <= '9');
  });
}

bool in_container(const Facts& facts) { return !facts.host.container.empty(); }

bool gpu_on_host(const Facts& facts) {
  return !facts.host.nvidia_cards.empty() || !facts.host.kernel_module.empty() || has_gpu_node(facts) ||
         !facts.driver.cards.empty();
}

bool wanted_by_name(const Needs& needs) { return needs.device.starts_with("cuda"); }

// Whether it matters at all that there is no GPU.
bool missed(const Facts& facts, const Needs& needs) {
  return facts.devices.empty() && (gpu_on_host(facts) || wanted_by_name(needs));
}

std::string cuda_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

std::string or_unknown(const std::string& text) { return text.empty() ? "unknown" : text; }

// "580.65.06" of "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Wed Jul ..."
std::string_view kernel_module_version(const Facts& facts) {
  const std::string_view line = facts.host.kernel_module;
  const std::size_t dot = line.find('.');
  if (dot == std::string_view::npos) return {};
  const std::size_t start = line.find_last_of(' ', dot) + 1;
  return line.substr(start, line.find(' ', dot) - start);
}

Result no_gpu(const Facts& facts, const Needs& needs) {
  if (!wanted_by_name(needs) || !facts.devices.empty() || gpu_on_host(facts)) return {};
  return finding(error, fmt::format("train.device = {}, and this machine has no NVIDIA GPU", needs.device),
                 "no display device of NVIDIA on the PCI bus, no driver, no device node",
                 "use a machine with a GPU, or --train.device cpu");
}

Result torch_cpu_only(const Facts& facts, const Needs& needs) {
  if (facts.torch.version.empty() || !facts.torch.cuda_compiled.empty()) return {};
  if (!gpu_on_host(facts) && !wanted_by_name(needs)) return {};
  return finding(error, fmt::format("LibTorch {} was built without CUDA", facts.torch.version),
                 "a CPU-only package of torch is installed where the build looked for it",
                 "install a CUDA build of torch and build again: make distclean && make train");
}

Result cuda_not_linked(const Facts& facts, const Needs&) {
  if (facts.torch.cuda_compiled.empty() || facts.torch.cuda_linked) return {};
  return finding(
      error, "the GPU half of LibTorch (libtorch_cuda.so) is not in this program",
      "the linker dropped it: nothing calls it by name, it registers itself",
      "link it between -Wl,--no-as-needed and -Wl,--as-needed, as cmake/LibTorch.cmake does, and build again");
}

// These two are Docker's words, from before there is a process that could look.
Result container_toolkit_missing(const Facts& facts, const Needs&) {
  if (!said(facts, "could not select device driver")) return {};
  return finding(error, "Docker cannot give a container a GPU: could not select device driver",
                 "the host has no NVIDIA Container Toolkit, or Docker was not told of it",
                 "on the host: install nvidia-container-toolkit, `sudo nvidia-ctk runtime configure --runtime=docker`, "
                 "`sudo systemctl restart docker`");
}

Result image_needs_newer_driver(const Facts& facts, const Needs&) {
  if (!said(facts, "unsatisfied condition: cuda")) return {};
  return finding(error, "the image's CUDA needs a newer driver than the host has: unsatisfied condition",
                 "an image states the least driver it runs with, and the container runtime refuses an older one",
                 "install a newer driver (CUDA 13: 580, CUDA 12: 525), or take an older tag: cuda12.6");
}

Result nvidia_visible_devices(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "NVIDIA_VISIBLE_DEVICES");
  if (!missed(facts, needs) || !in_container(facts) || has_gpu_node(facts) || !value) return {};
  if (*value != "void" && *value != "none" && !value->empty()) return {};
  return finding(error, fmt::format("the container was given no GPU: NVIDIA_VISIBLE_DEVICES is '{}'", *value),
                 "the container runtime injects the GPUs this variable names when the container starts",
                 "start it with `--gpus all`, in Compose with `count: all`, and without that variable");
}

Result container_without_gpu(const Facts& facts, const Needs& needs) {
  if (!missed(facts, needs) || !in_container(facts) || has_gpu_node(facts)) return {};
  const std::string& kind = facts.host.container;
  const char* remedy =
      "start it with `--gpus all`, in Compose with a device reservation that has `count: all`; the "
      "host needs the NVIDIA Container Toolkit";
  if (kind == "podman") {
    remedy =
        "start it with `--device nvidia.com/gpu=all`; the host needs `sudo nvidia-ctk cdi generate "
        "--output=/etc/cdi/nvidia.yaml`";
  } else if (kind == "kubernetes") {
    remedy = "ask for it in the pod: `resources: {limits: {nvidia.com/gpu: 1}}`; the node needs NVIDIA's device plugin";
  } else if (kind == "lxc") {
    remedy = "give it the device: `lxc config device add <container> gpu gpu`";
  }
  return finding(error, fmt::format("the host has an NVIDIA GPU, this container ({}) has none", kind),
                 "no /dev/nvidia0 in it: it was started without GPUs, or is being built (`docker build` has none)",
                 remedy);
}

// From branch 590 on the driver knows nothing older than Turing, whose first card is 0x1e02.
Result driver_too_new(const Facts& facts, const Needs& needs) {
  constexpr int last_branch = 580;
  constexpr int first_turing = 0x1e00;
  const std::string_view version = kernel_module_version(facts);
  if (!missed(facts, needs) || !facts.driver.cards.empty() || major_of(version) <= last_branch) return {};
  for (const std::string& card : facts.host.nvidia_cards) {
    int id = 0;
    if (!card.starts_with("0x")) continue;
    std::from_chars(card.data() + 2, card.data() + card.size(), id, 16);
    if (id <= 0 || id >= first_turing) continue;
    return finding(error, fmt::format("driver {} is too new for this card (PCI id {})", version, card),
                   fmt::format("the card is older than Turing; driver {} is the last that serves it", last_branch),
                   "install driver 580 and take LibTorch for CUDA 12.6: the container's cuda12.6 tag");
  }
  return {};
}

Result kernel_module_missing(const Facts& facts, const Needs& needs) {
  const bool loaded = !facts.host.kernel_module.empty() || !facts.driver.cards.empty();
  if (!missed(facts, needs) || facts.host.wsl2 || facts.host.nvidia_cards.empty() || loaded) return {};
  return finding(error, "the machine has an NVIDIA GPU, but its driver is not loaded",
                 "no /proc/driver/nvidia/version: the driver is not installed, was not built for this kernel (" +
                     facts.host.kernel + "), or is blocked by Secure Boot",
                 "install the NVIDIA driver and reboot; `sudo modprobe nvidia && dmesg | tail` says what stops it");
}

Result devices_revoked(const Facts& facts, const Needs& needs) {
  const auto closed = std::find_if(facts.host.device_nodes.begin(), facts.host.device_nodes.end(),
                                   [](const DeviceNode& node) { return !node.error.empty(); });
  const bool has_closed = closed != facts.host.device_nodes.end();
  const bool words = said(facts, "Failed to initialize NVML: Unknown Error");
  const bool nvml_unknown = in_container(facts) && facts.driver.nvml_code == 999;
  if (!words && (!missed(facts, needs) || (!has_closed && !nvml_unknown))) return {};
  const std::string what = has_closed ? fmt::format("/dev/{} cannot be opened: {}", closed->name, closed->error)
                                      : std::string("Failed to initialize NVML: Unknown Error");
  if (has_closed && !in_container(facts)) {
    return finding(error, what, "this user has no right to the GPU's device files",
                   "`ls -l /dev/nvidia*` shows who has; add the user to that group (often `video`), log in again");
  }
  return finding(error, what,
                 "the container's right to the GPU was taken back, as `systemctl daemon-reload` on the host does, or "
                 "was never given",
                 "restart the container; lastingly: give the GPU by CDI (`--device nvidia.com/gpu=all`)");
}

Result driver_library_mismatch(const Facts& facts, const Needs& needs) {
  const bool nvml = missed(facts, needs) && facts.driver.nvml_code == 18;
  if (!nvml && !said(facts, "river/library version mismatch")) return {};
  return finding(error, "the driver's libraries and its kernel module differ: Driver/library version mismatch",
                 fmt::format("the driver was upgraded while the old kernel module stayed loaded ({})",
                             or_unknown(facts.host.kernel_module)),
                 "reboot the host");
}

Result libcuda_stub(const Facts& facts, const Needs& needs) {
  const bool stub = facts.driver.init_code == 34 || facts.driver.libcuda.find("/stubs/") != std::string::npos;
  if ((!missed(facts, needs) || !stub) && !said(facts, "CUDA driver is a stub library")) return {};
  return finding(error, fmt::format("the CUDA driver library loaded is a stub: {}", or_unknown(facts.driver.libcuda)),
                 "a toolkit's stubs folder, meant for linking only, is on the library path" + library_path(facts),
                 "take the stubs folder out of LD_LIBRARY_PATH");
}

Result libcuda_missing(const Facts& facts, const Needs& needs) {
  if (!missed(facts, needs) || !facts.driver.libcuda.empty()) return {};
  const std::string what = fmt::format("the GPU is there, libcuda.so.1 is not: {}", facts.driver.libcuda_error);
  if (facts.host.wsl2) {
    return finding(error, what, "WSL2 keeps it in /usr/lib/wsl/lib",
                   "add /usr/lib/wsl/lib to the loader's path; run `wsl --update` on Windows");
  }
  if (in_container(facts)) {
    return finding(error, what, "the container was given the device but not the driver's compute libraries",
                   "set NVIDIA_DRIVER_CAPABILITIES=compute,utility and recreate the container");
  }
  return finding(error, what, "the driver's CUDA part is not installed",
                 "install it (Debian: libcuda1, Ubuntu: libnvidia-compute-<driver version>)");
}

Result cuda_803(const Facts& facts, const Needs&) {
  if (!cuda_error(facts, 803, "unsupported display driver / cuda driver combination")) return {};
  return finding(error,
                 fmt::format("libcuda and the kernel module are of different drivers (error 803); libcuda is {}",
                             or_unknown(facts.driver.libcuda)),
                 "the driver was upgraded, or another libcuda is found first" + library_path(facts),
                 "reboot the host, recreate the container, take compat folders out of LD_LIBRARY_PATH");
}

Result cuda_804(const Facts& facts, const Needs&) {
  if (!cuda_error(facts, 804, "forward compatibility was attempted on non supported")) return {};
  return finding(
      error,
      fmt::format("CUDA's forward compatibility does not serve this GPU (error 804); libcuda is {}",
                  or_unknown(facts.driver.libcuda)),
      "cuda-compat works on data-centre GPUs only, and is found before the driver's own libcuda" + library_path(facts),
      "take the compat folder out of LD_LIBRARY_PATH, or update the driver");
}

Result fabric_manager(const Facts& facts, const Needs&) {
  if (!cuda_error(facts, 802, "system not yet initialized")) return {};
  const std::string& version = facts.driver.version;
  return finding(
      error,
      fmt::format("CUDA says: system not yet initialized (error 802); NVSwitches seen: {}", facts.host.nvswitches),
      fmt::format("GPUs behind NVSwitch need the Fabric Manager running, in exactly the driver's version ({}){}",
                  or_unknown(version),
                  facts.driver.cards.empty() || facts.driver.cards[0].fabric.empty()
                      ? ""
                      : ", and it is " + facts.driver.cards[0].fabric),
      "on the host: install nvidia-fabricmanager of that version, `sudo systemctl enable --now nvidia-fabricmanager`");
}

Result wsl_driver_mix(const Facts& facts, const Needs& needs) {
  const bool fails = missed(facts, needs) && facts.host.wsl2 && facts.driver.init_code > 0;
  if (!fails && !said(facts, "named symbol not found")) return {};
  const std::string& error_text = facts.driver.init_error;
  return finding(
      error,
      fmt::format("CUDA does not start under WSL2: {}",
                  error_text.empty() ? "named symbol not found (error 500)" : error_text),
      fmt::format("usually a Linux driver installed inside WSL; libcuda is {}", or_unknown(facts.driver.libcuda)),
      "keep the driver on Windows only: remove the NVIDIA driver inside WSL, run `wsl --update`, then `wsl "
      "--shutdown`; the container toolkit stays inside WSL");
}

Result mig_without_instance(const Facts& facts, const Needs& needs) {
  const auto card = std::find_if(facts.driver.cards.begin(), facts.driver.cards.end(),
                                 [](const CardFacts& each) { return each.mig; });
  if (!missed(facts, needs) || card == facts.driver.cards.end()) return {};
  // With instances there, a variable that hides them is the cause.
  if (card->mig_instances > 0 && variable(facts, "CUDA_VISIBLE_DEVICES")) return {};
  if (card->mig_instances > 0) {
    return finding(error,
                   fmt::format("{} is in MIG mode; {} instances are there, none is given to this process", card->name,
                               card->mig_instances),
                   "a card in MIG mode computes only through its instances",
                   "name one that `nvidia-smi -L` lists in CUDA_VISIBLE_DEVICES, for a container in "
                   "NVIDIA_VISIBLE_DEVICES");
  }
  return finding(error, fmt::format("{} is in MIG mode and shows no instance", card->name),
                 "a card in MIG mode computes only through its instances: none was made, or none was given to us",
                 "list them with `nvidia-smi -L`; make one with `sudo nvidia-smi mig -cgi 0 -C`, name it in "
                 "NVIDIA_VISIBLE_DEVICES, or end MIG mode with `sudo nvidia-smi -mig 0`");
}

Result cuda_visible_devices(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "CUDA_VISIBLE_DEVICES");
  const bool none = facts.driver.init_code == 100 || facts.driver.init_code == 0;
  if (!missed(facts, needs) || !value || !none) return {};
  return finding(error, fmt::format("CUDA_VISIBLE_DEVICES='{}' hides every GPU", *value),
                 fmt::format("it names the GPUs a process may see; this machine has {}", facts.driver.cards.size()),
                 "unset CUDA_VISIBLE_DEVICES, or set it to an index `nvidia-smi -L` lists");
}

Result uvm_missing(const Facts& facts, const Needs& needs) {
  if (!missed(facts, needs) || !has_node(facts, "nvidiactl") || has_node(facts, "nvidia-uvm")) return {};
  return finding(error, "/dev/nvidia-uvm is missing, which CUDA cannot do without",
                 "the kernel module nvidia_uvm is not loaded, or the device was not given to the container",
                 "on the host: `sudo nvidia-modprobe -u -c=0`; then recreate the container");
}

Result address_space_limited(const Facts& facts, const Needs& needs) {
  constexpr std::uint64_t least = 1ull << 40;
  const Limit& limit = facts.limits.address_space;
  if (!missed(facts, needs) || facts.driver.init_code <= 0 || !limit || *limit >= least) return {};
  return finding(error, fmt::format("CUDA does not start within {} of address space", size_text(*limit)),
                 "CUDA reserves addresses for the memory of all GPUs and the host, far more than it uses",
                 "`ulimit -v unlimited` in the shell that starts the run");
}

Result cuda_unknown_error(const Facts& facts, const Needs& needs) {
  const bool at_start = missed(facts, needs) && facts.driver.init_code == 999;
  if (!at_start && !said(facts, "CUDA unknown error") && !said(facts, "CUDA error: unknown error")) return {};
  return finding(error, "CUDA says: unknown error (999)",
                 "the kernel module nvidia_uvm is in a bad state, as after a suspend or half an upgrade",
                 "on the host: `sudo rmmod nvidia_uvm && sudo modprobe nvidia_uvm`, or reboot");
}

Result driver_too_old(const Facts& facts, const Needs& needs) {
  const int wanted = major_of(facts.torch.cuda_compiled);
  const bool older = facts.driver.cuda_version > 0 && facts.driver.cuda_version / 1000 < wanted;
  const bool words = cuda_error(facts, 35, "driver version is insufficient");
  if (!words && !(older && (gpu_on_host(facts) || wanted_by_name(needs)))) return {};
  const char* least = wanted == 13 ? "580" : wanted == 12 ? "525" : "a newer one";
  const std::string needed = fmt::format("CUDA {} needs driver {} at least", wanted, least);
  if (!older) {
    return finding(error, "CUDA says: driver version is insufficient for the runtime's version (error 35)",
                   fmt::format("the driver is too old, or there is none: no GPU was passed to the container, or it is "
                               "being built{}",
                               wanted > 0 ? "; " + needed : ""),
                   "pass the GPU (`--gpus all`), install a newer driver, or take an older tag: cuda12.6");
  }
  return finding(error,
                 fmt::format("driver {} serves CUDA up to {}, LibTorch needs CUDA {}", or_unknown(facts.driver.version),
                             cuda_text(facts.driver.cuda_version), facts.torch.cuda_compiled),
                 needed,
                 wanted == 13
                     ? "install driver 580 or newer; or take LibTorch for CUDA 12: the container's cuda12.6 tag, "
                       "or TORCH_VERSION=2.10.0"
                     : "install a newer driver, or take LibTorch for an older CUDA");
}

Result cuda_init_failed(const Facts& facts, const Needs& needs) {
  if (!missed(facts, needs) || facts.driver.init_code <= 0) return {};
  return finding(error, fmt::format("CUDA does not start: {} ({})", facts.driver.init_error, facts.driver.init_code),
                 "the driver refuses; `dmesg | grep -i -e nvrm -e xid` on the host has its reason",
                 "reboot the host; if it stays, reinstall the driver");
}

Result gpu_not_visible(const Facts& facts, const Needs& needs) {
  if (!missed(facts, needs)) return {};
  return finding(error, "there is an NVIDIA GPU, and CUDA sees none",
                 "the driver is loaded and starts, yet lists no device",
                 "compare with `nvidia-smi -L`; reboot the host");
}

Result device_index(const Facts& facts, const Needs& needs) {
  const auto index = wanted_index(needs);
  if (!index || facts.devices.empty()) return {};
  const bool there = std::any_of(facts.devices.begin(), facts.devices.end(),
                                 [&](const DeviceFacts& device) { return device.index == *index; });
  if (there) return {};
  const std::string* visible = variable(facts, "CUDA_VISIBLE_DEVICES");
  const std::size_t count = facts.devices.size();
  return finding(
      error,
      fmt::format("train.device = {}, and there {}", needs.device,
                  count == 1 ? "is one GPU, cuda:0" : fmt::format("are {} GPUs, from cuda:0 on", count)),
      visible ? fmt::format("CUDA_VISIBLE_DEVICES={} filters and renumbers them", *visible) : "GPUs are counted from 0",
      count == 1 ? "use --train.device cuda:0" : fmt::format("use --train.device cuda:0 to cuda:{}", count - 1));
}

// Ordered from cause to consequence: what is found first explains what would be found after it.
constexpr Rule table[] = {
    {"no-gpu", "gpu", no_gpu},
    {"torch-cpu-only", "libtorch", torch_cpu_only},
    {"cuda-not-linked", "libtorch", cuda_not_linked},
    {"container-toolkit-missing", "gpu", container_toolkit_missing},
    {"image-needs-newer-driver", "driver", image_needs_newer_driver},
    {"nvidia-visible-devices", "gpu", nvidia_visible_devices},
    {"container-without-gpu", "gpu", container_without_gpu},
    {"driver-too-new", "driver", driver_too_new},
    {"kernel-module-missing", "driver", kernel_module_missing},
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
    {"cuda-unknown-error", "driver", cuda_unknown_error},
    {"driver-too-old", "driver", driver_too_old},
    {"cuda-init-failed", "driver", cuda_init_failed},
    {"gpu-not-visible", "gpu", gpu_not_visible},
    {"device-index", "gpu", device_index},
};

}  // namespace

std::span<const Rule> missing_gpu() { return table; }

}  // namespace trainyard::rules
