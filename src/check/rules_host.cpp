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
  return finding(
      error,
      fmt::format("the loader needs {} of shared memory, {} has {} free of {}", size_text(needs.shared_memory),
                  memory.path, size_text(memory.free), size_text(memory.size)),
      full               ? "other processes fill it"
      : container(facts) ? "a container gets 64 MB unless told otherwise"
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
                 "it is mounted read-only, or this user has no right to it",
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
  const std::uint64_t need = needs.memory + needs.shared_memory;
  if (!limit || needs.memory == 0 || need < needs.memory || *limit / 5 * 4 >= need) return {};
  return finding(warning,
                 fmt::format("this run takes about {}, the memory limit is {}", size_text(need), size_text(*limit)),
                 "over the limit the kernel kills a process without a word",
                 "give the container more (`--memory`), or use fewer --loader.workers and --loader.prefetch");
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
  return finding(
      error, fmt::format("run.dir = {} cannot be written", runs->path),
      runs->exists ? "it belongs to another user, or is mounted read-only" : "it does not exist, and cannot be made",
      "`sudo chown -R $(id -u):$(id -g)` that folder, or choose another with --run.dir");
}

Result disk_full(const Facts& facts, const Needs& needs) {
  const FolderFacts* runs = folder(facts, "runs");
  if (!runs || !runs->usable || runs->free >= needs.disk) return {};
  return finding(
      warning,
      fmt::format("run.dir = {} has {} free, {} are wanted", runs->path, size_text(runs->free), size_text(needs.disk)),
      "checkpoints may not fit", "remove old runs, or choose another disk with --run.dir");
}

Result data_missing(const Facts& facts, const Needs&) {
  const FolderFacts* data = folder(facts, "data");
  if (!data || data->usable) return {};
  return finding(error,
                 fmt::format("data.root = {} {}", data->path, data->exists ? "cannot be read" : "does not exist"),
                 container(facts) ? "a folder of the host is seen in a container only when it is mounted"
                                  : "the path is wrong, or this user has no right to it",
                 "correct --data.root; in a container mount the folder (`-v /host/folder:/data`)");
}

Result clock_wrong(const Facts& facts, const Needs&) {
  if (facts.host.clock == 0 || facts.host.clock >= year_2026) return {};
  return finding(warning, "the clock is years behind", "it was not set since the machine started",
                 "set it: `sudo timedatectl set-ntp true`; the times of runs and checkpoints are wrong until then");
}

constexpr Rule table[] = {
    {"cpu-probe-failed", "libtorch", cpu_probe_failed},
    {"shared-memory-missing", "shared memory", shared_memory_missing},
    {"shared-memory-unwritable", "shared memory", shared_memory_unwritable},
    {"shared-memory-small", "shared memory", shared_memory_small},
    {"shared-memory-refused", "shared memory", shared_memory_refused},
    {"run-dir-unwritable", "folders", run_dir_unwritable},
    {"data-missing", "folders", data_missing},
    {"disk-full", "folders", disk_full},
    {"memory-limit", "memory", memory_limit},
    {"too-many-workers", "cpu", too_many_workers},
    {"open-files-low", "limits", open_files_low},
    {"clock-wrong", "host", clock_wrong},
};

}  // namespace

std::span<const Rule> host() { return table; }

}  // namespace trainyard::rules
