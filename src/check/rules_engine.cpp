// Messages of the container engine: Docker, Podman and NVIDIA's toolkit refuse to start a container before it has a
// process that could check anything. All causes are on the host.
#include <algorithm>
#include <initializer_list>

#include "check/rules.h"

namespace trainyard::rules {
namespace {

constexpr auto error = Severity::error;

bool any_said(const Facts& facts, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const char* each) { return engine_message_contains(facts, each); });
}

// The toolkit's own message: Docker prepends a paragraph.
std::string_view words_of(const Facts& facts) {
  const auto probe = std::find_if(facts.probes.begin(), facts.probes.end(),
                                  [](const ProbeFacts& each) { return each.device == engine_device; });
  const std::string_view message = probe->message;
  const std::size_t start = message.rfind("nvidia-container-cli: ");
  return start == std::string_view::npos ? message : message.substr(start);
}

// These two are left to later rules, because a process may report the same causes.
bool is_of_driver(const Facts& facts) {
  return any_said(facts, {"library version mismatch", "insufficient permissions"});
}

Result container_toolkit_missing(const Facts& facts, const Needs&) {
  if (engine_message_contains(facts, "could not select device driver \"cdi\"")) {
    return finding(
        error, "Docker does not know CDI devices: could not select device driver \"cdi\"",
        "before Docker 28.2 CDI is off unless the daemon's settings turn it on",
        "on the host: `sudo nvidia-ctk runtime configure --runtime=docker --cdi.enabled`, then `sudo systemctl "
        "restart docker`; rootless: the same without sudo, with --config=$HOME/.config/docker/daemon.json, "
        "then `systemctl --user restart docker`");
  }
  if (!any_said(facts,
                {"could not select device driver", "invalid runtime name: nvidia", "unknown runtime specified nvidia",
                 "nvidia-container-runtime-hook\": executable file not found",
                 "nvidia-container-runtime\": executable file not found"})) {
    return {};
  }
  return finding(error, "Docker cannot give a container a GPU: it does not know the NVIDIA Container Toolkit",
                 "the toolkit is not installed on the host, or Docker was not told of it or not restarted since",
                 "on the host: install the package nvidia-container-toolkit, then `sudo nvidia-ctk runtime configure "
                 "--runtime=docker` and `sudo systemctl restart docker`; rootless: `nvidia-ctk runtime configure "
                 "--runtime=docker --config=$HOME/.config/docker/daemon.json`, then `systemctl --user restart docker`");
}

Result image_needs_newer_driver(const Facts& facts, const Needs&) {
  if (!engine_message_contains(facts, "unsatisfied condition:")) return {};
  return finding(error, "the image's CUDA needs a newer driver than the host has: unsatisfied condition",
                 "an image states the least driver it runs with, and the container toolkit refuses an older one",
                 "on the host: `make up` chooses the image for the driver that is there; or install a newer driver "
                 "(CUDA 13: 580, CUDA 12: 525), or set an older tag as BASE_IMAGE in .env: "
                 "pytorch/pytorch:2.14.0-cuda12.6-cudnn9-devel");
}

Result wsl_without_gpu(const Facts& facts, const Needs&) {
  if (!engine_message_contains(facts, "no adapters were found")) return {};
  return finding(
      error, "WSL shows Docker no GPU: WSL environment detected but no adapters were found",
      "the NVIDIA driver is missing in Windows, WSL is of version 1 or older than the driver, or the machine "
      "has no NVIDIA GPU",
      "in Windows: install the NVIDIA driver, `wsl --update`, `wsl --shutdown`; `wsl -l -v` must show "
      "version 2, and `nvidia-smi` must work inside WSL before Docker can");
}

Result host_driver_missing(const Facts& facts, const Needs&) {
  if (!any_said(facts, {"load library failed", "libnvidia-ml.so.1: cannot open", "libcuda.so.1: cannot open",
                        "driver not loaded"})) {
    return {};
  }
  return finding(
      error, "the container toolkit finds no NVIDIA driver on the host" + quoted_message(words_of(facts)),
      "the driver is not installed or not loaded there, or the engine runs where it is not seen: Docker Desktop on "
      "Linux "
      "in a virtual machine, Docker of a snap in its own root",
      "on the host: `nvidia-smi` must work first: install the driver and reboot, `sudo modprobe nvidia` says what "
      "stops "
      "it; if it works, `docker context use default` leaves Docker Desktop, and docker-ce takes the place of a snap");
}

Result cdi_device_unknown(const Facts& facts, const Needs&) {
  if (!any_said(facts, {"unresolvable CDI devices", "CDI device injection failed", "no known GPU vendor"})) return {};
  return finding(error, "the container engine finds no such GPU in its CDI files" + quoted_message(words_of(facts)),
                 "no file in /etc/cdi or /var/run/cdi names the GPU: it was never written, was written before the GPU "
                 "or its name changed, or a rootless engine cannot read it; or the host has no NVIDIA GPU",
                 "on the host: `nvidia-ctk cdi list` shows the names; `sudo nvidia-ctk cdi generate "
                 "--output=/etc/cdi/nvidia.yaml` writes the file (toolkit 1.18 and later: `sudo systemctl restart "
                 "nvidia-cdi-refresh`), `sudo chmod a+r /etc/cdi/nvidia.yaml`; Docker is restarted then");
}

Result cdi_file_stale(const Facts& facts, const Needs&) {
  const bool nvidia = any_said(facts, {"nvidia", "libcuda"});
  if (!nvidia || !any_said(facts, {"failed to fulfil mount request", "error stat'ing file"})) return {};
  return finding(error, "a file of the driver that the CDI file names is gone" + quoted_message(words_of(facts)),
                 "the driver was updated after the CDI file was written, which names its libraries by version",
                 "on the host: `sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml` (toolkit 1.18 and later: "
                 "`sudo systemctl restart nvidia-cdi-refresh`), then start the container again");
}

Result gpu_id_unknown(const Facts& facts, const Needs&) {
  if (!any_said(facts, {": unknown device", "unknown device id"})) return {};
  return finding(error, "a GPU was asked for that the host does not have" + quoted_message(words_of(facts)),
                 "--gpus with a number counts GPUs, with device= it names them by index or UUID",
                 "`nvidia-smi -L` on the host lists them; `--gpus all`, or `--gpus '\"device=0\"'` with those that are "
                 "there (GPUS in .env)");
}

Result cgroup_refused(const Facts& facts, const Needs&) {
  if (!any_said(facts, {"BPF_CGROUP_DEVICE", "failed to add device rules", "cgroup subsystem devices not found",
                        "failed to get device cgroup"})) {
    return {};
  }
  return finding(error,
                 "the container toolkit may not set the container's device rights" + quoted_message(words_of(facts)),
                 "Docker runs rootless or itself in a container (LXC), where these rights are not its own to set; or "
                 "the toolkit is "
                 "older than the host's control groups",
                 "on the host: update nvidia-container-toolkit to 1.18 or later, and give the GPU by CDI (`--device "
                 "nvidia.com/gpu=all`); or, for a rootless or nested Docker alone: `sudo nvidia-ctk config --set "
                 "nvidia-container-cli.no-cgroups=true --in-place`, then restart Docker");
}

Result image_has_driver_files(const Facts& facts, const Needs&) {
  if (!engine_message_contains(facts, "mount error") || !engine_message_contains(facts, "file exists")) return {};
  return finding(
      error,
      "the image holds files of the driver, which the toolkit would mount there" + quoted_message(words_of(facts)),
      "it was built or committed while a GPU was given to the build, as Docker with the default runtime "
      "nvidia does under WSL",
      "in the Dockerfile: `RUN rm -f /usr/lib/x86_64-linux-gnu/libcuda.so* "
      "/usr/lib/x86_64-linux-gnu/libnvidia-*.so*` as the last step, and build without the runtime nvidia as "
      "the default");
}

Result proc_masked(const Facts& facts, const Needs&) {
  if (!engine_message_contains(facts, "failed: /proc/driver/nvidia")) return {};
  return finding(
      error, "the toolkit does not find the GPU in /proc/driver/nvidia" + quoted_message(words_of(facts)),
      "this engine runs in a container that was given GPUs itself, where that folder is covered; or the "
      "toolkit is too old for the card's PCI address",
      "in the outer container: `umount -R /proc/driver/nvidia` as root; or update nvidia-container-toolkit on "
      "the host");
}

Result hook_refused(const Facts& facts, const Needs&) {
  if (!engine_message_contains(facts, "invoking the NVIDIA Container Runtime Hook directly")) return {};
  return finding(
      error, "--gpus does not fit the mode that the container toolkit is set to",
      "in the mode cdi the toolkit's hook, which --gpus of an older Docker calls, refuses to work",
      "start the container with `--device nvidia.com/gpu=all`; or on the host: `sudo nvidia-ctk config --set "
      "nvidia-container-runtime.mode=auto --in-place`");
}

Result ldconfig_missing(const Facts& facts, const Needs&) {
  if (!engine_message_contains(facts, "ldcache error")) return {};
  return finding(error, "the container toolkit cannot run the host's ldconfig" + quoted_message(words_of(facts)),
                 "its settings are of another distribution: ldconfig.real is Ubuntu's, the others have ldconfig",
                 "on the host: `sudo nvidia-ctk config --set nvidia-container-cli.ldconfig=@/sbin/ldconfig --in-place` "
                 "(Ubuntu: @/sbin/ldconfig.real)");
}

// Most pasted messages contain this warning of the toolkit's log, and the cause in a later line: so it is tried late.
Result toolkit_without_rights(const Facts& facts, const Needs&) {
  if (is_of_driver(facts)) return {};
  if (!any_said(facts, {"failed to set inheritable capabilities", "capability change failed"})) return {};
  return finding(
      error, "nvidia-container-cli runs without the rights it asks for" + quoted_message(words_of(facts)),
      "it was started by hand without root, by a rootless engine, in a container that dropped rights (LXC), "
      "or SELinux refuses them; as a warning in its log it only says that it loads no kernel modules",
      "by hand: `sudo nvidia-container-cli info`; rootless: `sudo nvidia-modprobe -u -c=0` on the host, once "
      "after it starts; as a warning: a later line, with `error:`, has the cause");
}

// The last rule: any other message of NVIDIA's part of the engine.
Result engine_failed(const Facts& facts, const Needs&) {
  if (is_of_driver(facts) || !any_said(facts, {"nvidia-container-", "CDI device", "nvidia-ctk"})) return {};
  return finding(error, "the container engine cannot give the container its GPU" + quoted_message(words_of(facts)),
                 "NVIDIA's container toolkit refused in these words",
                 "on the host: `nvidia-smi` must work; `sudo nvidia-container-cli -k -d /dev/tty info` shows what the "
                 "toolkit sees; update nvidia-container-toolkit");
}

constexpr Rule table[] = {
    {"container-toolkit-missing", "gpu", container_toolkit_missing},
    {"image-needs-newer-driver", "driver", image_needs_newer_driver},
    {"wsl-without-gpu", "driver", wsl_without_gpu},
    {"host-driver-missing", "driver", host_driver_missing},
    {"cdi-device-unknown", "gpu", cdi_device_unknown},
    {"cdi-file-stale", "gpu", cdi_file_stale},
    {"gpu-id-unknown", "gpu", gpu_id_unknown},
    {"cgroup-refused", "gpu", cgroup_refused},
    {"image-has-driver-files", "gpu", image_has_driver_files},
    {"proc-masked", "gpu", proc_masked},
    {"hook-refused", "gpu", hook_refused},
    {"ldconfig-missing", "gpu", ldconfig_missing},
    {"toolkit-without-rights", "gpu", toolkit_without_rights},
    {"engine-failed", "gpu", engine_failed},
};

}  // namespace

std::span<const Rule> engine() { return table; }

}  // namespace trainyard::rules
