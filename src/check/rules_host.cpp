#include <algorithm>

#include <fmt/format.h>

#include "check/rules.h"

namespace trainyard::rules {
namespace {

constexpr auto error = Severity::error;
constexpr auto warning = Severity::warning;
constexpr std::int64_t year_2026 = 1'767'225'600;

bool container(const Facts& facts) { return !facts.host.container.empty(); }

const FolderFacts* folder(const Facts& facts, std::string_view purpose) {
  const auto found = std::find_if(facts.folders.begin(), facts.folders.end(),
                                  [&](const FolderFacts& each) { return each.purpose == purpose; });
  return found == facts.folders.end() ? nullptr : &*found;
}

Result cpu_probe_failed(const Facts& facts, const Needs&) {
  for (const ProbeFacts& probe : facts.probes) {
    if (probe.device != "cpu" || probe.outcome == "ok") continue;
    return finding(error, fmt::format("`{}` failed on the CPU ({}): {}", probe.name, probe.outcome, probe.message),
                   "LibTorch itself does not compute here: a broken installation, or a processor it does not serve",
                   "install LibTorch again: make distclean && make train");
  }
  return {};
}

Result shared_memory_missing(const Facts& facts, const Needs& needs) {
  const auto& memory = facts.shared_memory;
  if (needs.shared_memory == 0 || memory.size > 0) return {};
  return finding(error, fmt::format("there is no shared memory at {}", memory.path),
                 memory.error.empty() ? "nothing is mounted there" : memory.error,
                 "mount it: `mount -t tmpfs tmpfs /dev/shm`; or --loader.workers 0");
}

Result shared_memory_small(const Facts& facts, const Needs& needs) {
  const auto& memory = facts.shared_memory;
  if (memory.size == 0 || memory.free >= needs.shared_memory) return {};
  const bool full = memory.size >= needs.shared_memory;
  const std::uint64_t least = needs.shared_memory_least > 0 ? needs.shared_memory_least : needs.shared_memory;
  return finding(
      memory.free < least ? error : warning,
      fmt::format("the loader needs {} of shared memory, {} has {} free of {}", size_text(needs.shared_memory),
                  memory.path, size_text(memory.free), size_text(memory.size)),
      full               ? "other processes fill it; the loader then prepares fewer batches ahead, or none"
      : container(facts) ? "a container gets 64 MB unless told otherwise; another loader would die of a bus error"
                         : "it is mounted with a small size",
      container(facts) ? fmt::format("start the container with `--shm-size={}m` or `--ipc=host`; or use fewer "
                                     "--loader.prefetch, a smaller --loader.batch_size",
                                     ((2 * needs.shared_memory) >> 20) + 64)
      : full           ? "remove what is left over in /dev/shm; or use fewer --loader.prefetch"
                       : fmt::format("`mount -o remount,size={}m {}`; or use fewer --loader.prefetch",
                                     ((2 * needs.shared_memory) >> 20) + 64, memory.path));
}

Result shared_memory_unwritable(const Facts& facts, const Needs& needs) {
  const auto& memory = facts.shared_memory;
  if (needs.shared_memory == 0 || memory.size == 0 || memory.writable) return {};
  return finding(error, fmt::format("{} cannot be written: {}", memory.path, memory.error),
                 "it is mounted read-only, this user has no right to it, or it holds as many files as it may (`df -i`)",
                 fmt::format("`chmod 1777 {0}`, `mount -o remount,rw {0}`; or --loader.workers 0", memory.path));
}

Result shared_memory_refused(const Facts& facts, const Needs& needs) {
  const auto& memory = facts.shared_memory;
  const bool promised = memory.size > 0 && memory.writable && memory.free >= needs.shared_memory;
  if (needs.shared_memory == 0 || !promised || memory.error.empty()) return {};
  return finding(error,
                 fmt::format("{} claims {} free, yet {} could not be taken: {}", memory.path, size_text(memory.free),
                             size_text(memory.tried), memory.error),
                 "shared memory counts as memory: the limit of the container or the machine is reached",
                 "give the container more memory, or use fewer --loader.prefetch");
}

Result memory_limit(const Facts& facts, const Needs& needs) {
  const auto& limit = facts.host.memory_limit;
  constexpr std::uint64_t of_cuda = 2ull << 30;  // of the host, for context and libraries
  if (!limit || needs.memory == 0) return {};
  const bool cuda = needs.device != "cpu" && !facts.devices.empty();
  std::uint64_t need = needs.memory;
  for (const std::uint64_t more : {needs.shared_memory, cuda ? of_cuda : 0}) {
    need = more > ~need ? ~std::uint64_t{0} : need + more;
  }
  if (*limit / 5 * 4 >= need) return {};
  return finding(warning,
                 fmt::format("this run takes about {}, the memory limit is {}", size_text(need), size_text(*limit)),
                 "over the limit the kernel kills a process without a word",
                 "give the container more (`--memory`), or use fewer --loader.workers and --loader.prefetch");
}

Result processes_low(const Facts& facts, const Needs& needs) {
  constexpr std::uint64_t room = 64;  // threads of LibTorch, CUDA and the shell around it
  const std::uint64_t need = room + static_cast<std::uint64_t>(std::max(needs.workers, 0)) +
                             static_cast<std::uint64_t>(std::max(facts.host.cores, 0));
  Limit limit = facts.host.processes_limit;
  if (facts.limits.processes && (!limit || *facts.limits.processes < *limit)) limit = facts.limits.processes;
  if (!limit || *limit >= need) return {};
  return finding(warning, fmt::format("at most {} processes and threads may run; {} are wanted", *limit, need),
                 "the limit of this user (ulimit -u) or container (pids) is low",
                 "`ulimit -u 4096`, in a container `--pids-limit 4096`; or fewer --loader.workers");
}

Result too_many_workers(const Facts& facts, const Needs& needs) {
  if (facts.host.cores == 0 || needs.workers <= facts.host.cores) return {};
  return finding(warning,
                 fmt::format("loader.workers = {}, and this process may use {} of the machine's {} cores",
                             needs.workers, facts.host.cores, facts.host.logical_cores),
                 "more workers than cores take turns and slow each other down",
                 fmt::format("use --loader.workers {}, or give the container more cores (`--cpus`)", facts.host.cores));
}

Result open_files_low(const Facts& facts, const Needs& needs) {
  const std::uint64_t need = 256 + 8 * static_cast<std::uint64_t>(std::max(needs.workers, 0));
  if (!facts.limits.open_files || *facts.limits.open_files >= need) return {};
  return finding(warning, fmt::format("at most {} files may be open; {} are wanted", *facts.limits.open_files, need),
                 "the limit of this shell or container (ulimit -n) is low",
                 "`ulimit -n 65536`, in a container `--ulimit nofile=65536`");
}

Result run_dir_unwritable(const Facts& facts, const Needs&) {
  const FolderFacts* runs = folder(facts, "runs");
  if (!runs || runs->usable) return {};
  const std::string what = fmt::format("run.dir = {} {}", runs->path,
                                       runs->exists ? "cannot be written" : "does not exist and cannot be made");
  if (runs->read_only) {
    return finding(error, what, "it is mounted read-only",
                   "choose another folder with --run.dir, or mount it writable");
  }
  const bool foreign = runs->owner >= 0 && runs->owner != facts.host.uid;
  return finding(error, what,
                 foreign
                     ? fmt::format("{} belongs to user {} with rights {}, and this is user {}",
                                   runs->exists ? "it" : "the folder above it", runs->owner, runs->mode, facts.host.uid)
                     : fmt::format("its rights are {}", runs->mode.empty() ? "not known" : runs->mode),
                 container(facts) ? "start the container with `--user $(id -u):$(id -g)`, or `sudo chown -R $(id -u)` "
                                    "the folder on the host"
                                  : "`sudo chown -R $(id -u):$(id -g)` that folder, or choose another with --run.dir");
}

Result disk_full(const Facts& facts, const Needs& needs) {
  const FolderFacts* runs = folder(facts, "runs");
  if (!runs || !runs->usable || runs->free >= needs.disk) return {};
  return finding(
      warning,
      fmt::format("run.dir = {} has {} free, {} are wanted", runs->path, size_text(runs->free), size_text(needs.disk)),
      "checkpoints may not fit", "remove old runs, or choose another disk with --run.dir");
}

// Asked for by name, the data must be there; the default places may be filled later.
Result data_missing(const Facts& facts, const Needs& needs) {
  const FolderFacts* data = folder(facts, "data");
  if (!data) return {};
  const bool named = !needs.data_root.empty();
  const Severity severity = named ? error : warning;
  if (named && !data->usable) {
    return finding(severity,
                   fmt::format("data.root = {} {}", data->path, data->exists ? "cannot be read" : "does not exist"),
                   container(facts) ? "a folder of the host is seen in a container only when it is mounted"
                                    : "the path is wrong, or this user has no right to it",
                   "correct --data.root; in a container mount the folder (`-v /host/folder:/data`)");
  }
  if (data->error.empty()) return {};
  return finding(severity, "the dataset cannot be read", data->error,
                 "put the files there, name their folder with --data.root, or choose another dataset with --data.name");
}

Result clock_wrong(const Facts& facts, const Needs&) {
  constexpr std::int64_t day = 86'400;
  constexpr std::int64_t year_2100 = 4'102'444'800;
  const FolderFacts* runs = folder(facts, "runs");
  const std::int64_t now = facts.host.clock;
  if (now == 0) return {};
  std::string what;
  std::string why = "it was not set since the machine started";
  if (now < year_2026) {
    what = "the clock is years behind";
  } else if (now > year_2100) {
    what = "the clock is decades ahead";
  } else if (facts.host.program_time > 0 && now < facts.host.program_time - day) {
    what = fmt::format("the clock is behind: this program was built {} days from now",
                       (facts.host.program_time - now) / day);
  } else if (runs && runs->newest > 0 && now < runs->newest - day) {
    what =
        fmt::format("the clock is wrong: {} has entries of {} days from now", runs->path, (runs->newest - now) / day);
    why = "it is behind, or was ahead when they were written";
  } else {
    return {};
  }
  return finding(warning, std::move(what), std::move(why),
                 "set it: `sudo timedatectl set-ntp true`; the times of runs and checkpoints are wrong until then");
}

// LibTorch brings its CUDA libraries; an older one found before them is loaded in their place.
Result library_mismatch(const Facts& facts, const Needs& needs) {
  if (needs.device == "cpu") return {};
  const struct {
    const char* name;
    const char* file;
    const std::string& compiled;
    const std::string& loaded;
  } libraries[] = {{"CUDA's runtime", "libcudart", facts.torch.cuda_compiled, facts.torch.cuda_runtime},
                   {"cuDNN", "libcudnn", facts.torch.cudnn_compiled, facts.torch.cudnn},
                   {"NCCL", "libnccl", facts.torch.nccl_compiled, facts.torch.nccl}};
  for (const auto& [name, file, compiled, loaded] : libraries) {
    if (compiled.empty() || loaded.empty()) continue;
    if (major_of(compiled) == major_of(loaded) && compare_versions(loaded, compiled) >= 0) continue;
    const auto from =
        std::find_if(facts.libraries.begin(), facts.libraries.end(),
                     [&, prefix = file](const auto& each) { return each.loaded && each.name.starts_with(prefix); });
    return finding(
        warning, fmt::format("{} {} is loaded, LibTorch was built with {}", name, loaded, compiled),
        (from == facts.libraries.end() ? std::string("another copy is found first") : from->path + " is found first") +
            library_path(facts),
        "unset LD_LIBRARY_PATH, or take that folder out of it: LibTorch brings its own");
  }
  return {};
}

// "575.57.08" of ".../libcuda.so.575.57.08"; forward compatibility gives a newer one, which is meant so.
Result stray_libcuda(const Facts& facts, const Needs& needs) {
  constexpr std::string_view file = "libcuda.so.";
  const std::size_t place = facts.driver.libcuda.rfind(file);
  if (needs.device == "cpu" || place == std::string::npos || facts.driver.version.empty()) return {};
  const std::string version = facts.driver.libcuda.substr(place + file.size());
  if (major_of(version) < 100 || compare_versions(version, facts.driver.version) >= 0) return {};
  return finding(
      warning,
      fmt::format("libcuda is of driver {}, the driver is {}: {}", version, facts.driver.version, facts.driver.libcuda),
      "an older copy is found before the driver's own" + library_path(facts),
      "take its folder out of LD_LIBRARY_PATH or remove it; for a compat package: it is older than the "
      "driver, and no longer needed");
}

Result launch_blocking(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "CUDA_LAUNCH_BLOCKING");
  if (needs.device == "cpu" || facts.devices.empty() || !value || value->empty() || *value == "0") return {};
  return finding(warning, fmt::format("CUDA_LAUNCH_BLOCKING={}", *value),
                 "every kernel is waited for: right for finding a fault, slow for training",
                 "unset CUDA_LAUNCH_BLOCKING");
}

constexpr Rule table[] = {
    {"cpu-probe-failed", "libtorch", cpu_probe_failed},
    {"library-mismatch", "libtorch", library_mismatch},
    {"stray-libcuda", "driver", stray_libcuda},
    {"shared-memory-missing", "shared memory", shared_memory_missing},
    {"shared-memory-unwritable", "shared memory", shared_memory_unwritable},
    {"shared-memory-small", "shared memory", shared_memory_small},
    {"shared-memory-refused", "shared memory", shared_memory_refused},
    {"run-dir-unwritable", "runs", run_dir_unwritable},
    {"data-missing", "data", data_missing},
    {"disk-full", "runs", disk_full},
    {"memory-limit", "memory", memory_limit},
    {"too-many-workers", "cpu", too_many_workers},
    {"open-files-low", "limits", open_files_low},
    {"processes-low", "limits", processes_low},
    {"launch-blocking", "gpu", launch_blocking},
    {"clock-wrong", "host", clock_wrong},
};

}  // namespace

std::span<const Rule> host() { return table; }

}  // namespace trainyard::rules
