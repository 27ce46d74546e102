/// Lists the fields of the facts with their names, once for everything that visits them: JSON in both directions, and
/// the texts that are shown.
#pragma once

#include <concepts>
#include <type_traits>

#include "check/facts.h"

namespace trainyard {

/// T or const T: one list serves reading and writing.
template <typename T, typename Facts>
concept Of = std::same_as<std::remove_const_t<T>, Facts>;

template <typename Visitor>
void fields(Visitor& v, Of<DeviceNode> auto& f) {
  v("name", f.name), v("error", f.error);
}

template <typename Visitor>
void fields(Visitor& v, Of<HostFacts> auto& f) {
  v("distribution", f.distribution), v("kernel", f.kernel), v("container", f.container), v("wsl2", f.wsl2);
  v("shares_ipc", f.shares_ipc);
  v("name", f.name), v("user", f.user), v("uid", f.uid), v("cgroup", f.cgroup), v("cores", f.cores);
  v("cpu_quota", f.cpu_quota), v("logical_cores", f.logical_cores), v("physical_cores", f.physical_cores);
  v("memory", f.memory), v("memory_available", f.memory_available), v("memory_limit", f.memory_limit);
  v("memory_used", f.memory_used), v("out_of_memory_kills", f.out_of_memory_kills);
  v("processes_limit", f.processes_limit), v("nvidia_cards", f.nvidia_cards), v("nvswitches", f.nvswitches);
  v("infiniband", f.infiniband);
  v("kernel_module", f.kernel_module), v("device_nodes", f.device_nodes), v("clock", f.clock);
  v("program_time", f.program_time);
}

template <typename Visitor>
void fields(Visitor& v, Of<ProcessFacts> auto& f) {
  v("pid", f.pid), v("name", f.name), v("memory", f.memory);
}

template <typename Visitor>
void fields(Visitor& v, Of<CardFacts> auto& f) {
  v("pci", f.pci), v("name", f.name), v("uuid", f.uuid), v("serial", f.serial), v("memory", f.memory);
  v("memory_free", f.memory_free), v("mig", f.mig), v("mig_instances", f.mig_instances);
  v("persistence", f.persistence), v("compute_mode", f.compute_mode), v("ecc", f.ecc);
  v("ecc_corrected", f.ecc_corrected), v("ecc_uncorrected", f.ecc_uncorrected), v("repair_pending", f.repair_pending);
  v("repair_failed", f.repair_failed);
  v("slowed_by", f.slowed_by), v("temperature", f.temperature), v("power", f.power), v("power_limit", f.power_limit);
  v("pcie_generation", f.pcie_generation), v("pcie_width", f.pcie_width), v("pcie_width_most", f.pcie_width_most);
  v("fabric", f.fabric), v("processes", f.processes);
}

template <typename Visitor>
void fields(Visitor& v, Of<DriverFacts> auto& f) {
  v("libcuda", f.libcuda), v("libcuda_error", f.libcuda_error), v("cuda_version", f.cuda_version);
  v("init_code", f.init_code), v("init_error", f.init_error), v("nvml_code", f.nvml_code);
  v("nvml_error", f.nvml_error), v("version", f.version), v("cards", f.cards);
}

template <typename Visitor>
void fields(Visitor& v, Of<TorchFacts> auto& f) {
  v("version", f.version), v("cuda_compiled", f.cuda_compiled), v("cuda_linked", f.cuda_linked);
  v("cuda_runtime", f.cuda_runtime), v("cudnn", f.cudnn), v("nccl", f.nccl), v("cudnn_compiled", f.cudnn_compiled);
  v("nccl_compiled", f.nccl_compiled), v("architectures", f.architectures);
  v("own_architectures", f.own_architectures);
}

template <typename Visitor>
void fields(Visitor& v, Of<LibraryFacts> auto& f) {
  v("name", f.name), v("path", f.path), v("loaded", f.loaded);
}

template <typename Visitor>
void fields(Visitor& v, Of<DeviceFacts> auto& f) {
  v("index", f.index), v("name", f.name), v("major", f.major), v("minor", f.minor), v("memory", f.memory);
  v("memory_free", f.memory_free), v("pci", f.pci), v("error", f.error);
}

template <typename Visitor>
void fields(Visitor& v, Of<SharedMemoryFacts> auto& f) {
  v("path", f.path), v("size", f.size), v("free", f.free), v("writable", f.writable), v("tried", f.tried);
  v("error", f.error);
}

template <typename Visitor>
void fields(Visitor& v, Of<LimitFacts> auto& f) {
  v("open_files", f.open_files), v("open_files_most", f.open_files_most), v("open_now", f.open_now);
  v("memlock", f.memlock), v("processes", f.processes), v("stack", f.stack), v("address_space", f.address_space);
}

template <typename Visitor>
void fields(Visitor& v, Of<FolderFacts> auto& f) {
  v("purpose", f.purpose), v("path", f.path), v("exists", f.exists), v("usable", f.usable), v("free", f.free);
  v("owner", f.owner), v("mode", f.mode), v("read_only", f.read_only), v("newest", f.newest), v("error", f.error);
}

template <typename Visitor>
void fields(Visitor& v, Of<ProbeFacts> auto& f) {
  v("device", f.device), v("name", f.name), v("outcome", f.outcome), v("message", f.message);
  v("seconds", f.seconds), v("max_error", f.max_error), v("bytes_per_second", f.bytes_per_second);
}

template <typename Visitor>
void fields(Visitor& v, Of<Facts> auto& f) {
  v("host", f.host), v("driver", f.driver), v("torch", f.torch), v("libraries", f.libraries), v("devices", f.devices);
  v("shared_memory", f.shared_memory), v("limits", f.limits), v("folders", f.folders);
  v("environment", f.environment), v("probes", f.probes);
}

template <typename Visitor>
void fields(Visitor& v, Of<Needs> auto& f) {
  v("device", f.device), v("precision", f.precision), v("workers", f.workers), v("batch_size", f.batch_size);
  v("shared_memory", f.shared_memory), v("shared_memory_least", f.shared_memory_least), v("memory", f.memory),
      v("disk", f.disk), v("run_dir", f.run_dir);
  v("data_root", f.data_root);
}

}  // namespace trainyard
