#include "check/place.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "check/rules.h"

namespace trainyard::rules {

bool in_container(const Facts& facts) { return !facts.host.container.empty(); }

std::string on_host(const Facts& facts) { return in_container(facts) ? "on the host: " : ""; }

std::string reboot(const Facts& facts) {
  if (facts.host.wsl2) return "`wsl --shutdown` in Windows, then start again";
  return in_container(facts) ? "reboot the host" : "reboot";
}

std::string kernel_log(const Facts& facts, std::string_view pattern) {
  if (facts.host.wsl2) return "the Windows event viewer has the driver's messages (source nvlddmkm)";
  return fmt::format("{}`sudo dmesg | grep -i -e {}` shows the driver's messages", on_host(facts), pattern);
}

std::string reset_gpu(const Facts& facts) {
  return facts.host.wsl2 ? "restart Windows" : on_host(facts) + "`sudo nvidia-smi -r`, or " + reboot(facts);
}

std::string pass_gpus(const Facts& facts) {
  const std::string& kind = facts.host.container;
  if (kind == "podman") {
    return "start the container with `--device nvidia.com/gpu=all`; the host needs `sudo nvidia-ctk cdi generate "
           "--output=/etc/cdi/nvidia.yaml`, again after each update of the driver";
  }
  if (kind == "kubernetes") {
    return "ask for it in the pod: `resources: {limits: {nvidia.com/gpu: 1}}`; the node needs NVIDIA's device plugin";
  }
  if (kind == "lxc") return "on the host: `lxc config device add <container> gpu gpu` and `nvidia.runtime=true`";
  return "start the container with `--gpus all`, in Compose with a device reservation that has `count: all`; the host "
         "needs the NVIDIA Container Toolkit";
}

void add_larger_shared_memory(Remedy& remedy, const Facts& facts, std::uint64_t bytes) {
  const std::uint64_t mebibytes = (bytes >> 20) + 1;
  const Change larger{"shared_memory", std::to_string(mebibytes << 20)};
  if (facts.host.container == "kubernetes") {
    remedy.add("mount an emptyDir with `medium: Memory` at /dev/shm", {larger});
    return;
  }
  if (!in_container(facts) || facts.host.shares_ipc) {
    const std::string sudo = facts.host.uid == 0 && !in_container(facts) ? "" : "sudo ";
    remedy.add(fmt::format("{}`{}mount -o remount,size={}m /dev/shm`", on_host(facts), sudo, mebibytes), {larger});
    return;
  }
  remedy.add(fmt::format("start the container with `--shm-size={}m`", mebibytes), {larger});
  remedy.add("start it with `--ipc=host`", {{"container.ipc", "host"}});
}

void add_libtorch(Remedy& remedy, const Facts& facts, const std::string& version) {
  const struct {
    const char* cuda;
    int driver;
    const char* image;
    const char* elsewhere;
  } packages[] = {
      {"12.6", 525, "2.14.0-cuda12.6",
       "`pip install torch --index-url https://download.pytorch.org/whl/cu126` in a Python environment, then `make "
       "distclean && TORCH_PYTHON=<its python3> make train`"},
      {"12.8", 570, "2.10.0-cuda12.8", "`make distclean && TORCH_VERSION=2.10.0 make train`"},
      {"13.0", 580, "2.14.0-cuda13.0", "`make distclean && TORCH_VERSION=2.14.0 make train`"},
  };
  const auto* package =
      std::find_if(std::begin(packages), std::end(packages), [&](const auto& each) { return each.cuda == version; });
  if (package == std::end(packages)) throw std::logic_error("no package is for CUDA " + version);
  const int branch = major_of(driver_version(facts));
  const std::string driver = branch >= package->driver ? "" : fmt::format(", driver {} or newer", package->driver);
  const std::string how =
      in_container(facts)
          ? fmt::format("BASE_IMAGE=pytorch/pytorch:{}-cudnn9-devel in .env, then `make up`", package->image)
          : package->elsewhere;
  remedy.add(fmt::format("take LibTorch for CUDA {}{}: {}", version, driver, how), {{"libtorch.cuda", version}});
}

void add_cpu(Remedy& remedy) { remedy.add("train on the CPU with --train.device cpu", {{"train.device", "cpu"}}); }

}  // namespace trainyard::rules
