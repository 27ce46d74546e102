#include <algorithm>

#include <fmt/format.h>

#include "check/place.h"
#include "check/rules.h"

namespace trainyard::rules {
namespace {

constexpr auto error = Severity::error;
constexpr auto warning = Severity::warning;
constexpr std::int64_t year_2026 = 1'767'225'600;

const FolderFacts* folder(const Facts& facts, std::string_view purpose) {
  const auto found = std::find_if(facts.folders.begin(), facts.folders.end(),
                                  [&](const FolderFacts& each) { return each.purpose == purpose; });
  return found == facts.folders.end() ? nullptr : &*found;
}

Result cpu_probe_failed(const Facts& facts, const Needs&) {
  for (const ProbeFacts& probe : facts.probes) {
    if (probe.device != "cpu" || probe.outcome == "ok") continue;
    return finding(error,
                   (probe.name.empty() ? std::string("a computation") : "`" + probe.name + "`") + " failed on the CPU" +
                       (probe.outcome.empty() ? "" : " (" + probe.outcome + ")") + quoted_message(probe.message),
                   "LibTorch itself does not compute here: a broken installation, or a processor it does not serve",
                   "install LibTorch again (`python3 -m pip install --force-reinstall torch`), then `make distclean && "
                   "make train`");
  }
  return {};
}

std::string place_of(const SharedMemoryFacts& memory) { return memory.path.empty() ? "/dev/shm" : memory.path; }

std::uint64_t twice(std::uint64_t bytes) { return bytes > ~std::uint64_t{0} / 4 ? bytes : 2 * bytes + (64u << 20); }

Result shared_memory_missing(const Facts& facts, const Needs& needs) {
  const auto& memory = facts.shared_memory;
  if (needs.shared_memory == 0 || memory.size > 0) return {};
  Remedy remedy(facts, needs);
  if (in_container(facts)) {
    add_larger_shared_memory(remedy, facts, twice(needs.shared_memory));
  } else {
    remedy.add("mount it: `sudo mount -t tmpfs tmpfs /dev/shm`");
  }
  remedy.add("--loader.workers 0", {{"loader.workers", "0"}});
  return finding(error, "there is no shared memory at " + place_of(memory),
                 memory.error.empty() ? "nothing is mounted there" : memory.error, remedy);
}

Result shared_memory_small(const Facts& facts, const Needs& needs) {
  const auto& memory = facts.shared_memory;
  if (memory.size == 0 || memory.free >= needs.shared_memory) return {};
  const bool full = memory.size >= needs.shared_memory;
  const bool own = in_container(facts) && !facts.host.shares_ipc;
  const std::uint64_t least = needs.shared_memory_least > 0 ? needs.shared_memory_least : needs.shared_memory;
  Remedy remedy(facts, needs);
  if (full) remedy.add(fmt::format("{}remove what is left over in /dev/shm", own ? "" : on_host(facts)));
  add_larger_shared_memory(remedy, facts, twice(full ? memory.size : needs.shared_memory));
  remedy.add("use a smaller --loader.prefetch");
  return finding(
      memory.free < least ? error : warning,
      fmt::format("the loader needs {} of shared memory, {} has {} free of {}", size_text(needs.shared_memory),
                  place_of(memory), size_text(memory.free), size_text(memory.size)),
      full  ? "other processes fill it; the loader then prepares fewer batches ahead, or none"
      : own ? "a container gets 64 MB unless told otherwise; another loader would die of a bus error"
            : "it is mounted with a small size",
      remedy);
}

Result shared_memory_unwritable(const Facts& facts, const Needs& needs) {
  const auto& memory = facts.shared_memory;
  if (needs.shared_memory == 0 || memory.size == 0 || memory.writable) return {};
  Remedy remedy(facts, needs);
  const bool own = in_container(facts) && !facts.host.shares_ipc;
  remedy.add(own ? std::string("start the container without --read-only and without a mount of its own at /dev/shm")
                 : on_host(facts) + "`sudo chmod 1777 /dev/shm`, `sudo mount -o remount,rw /dev/shm`");
  remedy.add("--loader.workers 0", {{"loader.workers", "0"}});
  return finding(error, place_of(memory) + " cannot be written" + quoted_message(memory.error),
                 "it is mounted read-only, this user has no right to it, or it holds as many files as it may (`df -i`)",
                 remedy);
}

Result shared_memory_refused(const Facts& facts, const Needs& needs) {
  const auto& memory = facts.shared_memory;
  const bool promised = memory.size > 0 && memory.writable && memory.free >= needs.shared_memory;
  if (needs.shared_memory == 0 || !promised || memory.error.empty()) return {};
  return finding(error,
                 fmt::format("{} claims {} free, yet {} could not be taken{}", place_of(memory), size_text(memory.free),
                             memory.tried > 0 ? size_text(memory.tried) : "memory", quoted_message(memory.error)),
                 "shared memory counts as memory: the limit of the container or the machine is reached",
                 (in_container(facts) ? "give the container more memory (`--memory`)" : "free memory") +
                     std::string("; or use a smaller --loader.prefetch"));
}

Result memory_limit(const Facts& facts, const Needs& needs) {
  const auto& limit = facts.host.memory_limit;
  constexpr std::uint64_t of_cuda = 2ull << 30;  // of host memory, for context and libraries
  if (!limit || needs.memory == 0) return {};
  const bool cuda = needs.device != "cpu" && !facts.devices.empty();
  std::uint64_t need = needs.memory;
  for (const std::uint64_t more : {needs.shared_memory, cuda ? of_cuda : 0}) {
    need = more > ~need ? ~std::uint64_t{0} : need + more;
  }
  if (*limit / 5 * 4 >= need) return {};
  Remedy remedy(facts, needs);
  remedy.add(in_container(facts) ? "give the container more (`--memory`)"
                                 : "give the service or session more (MemoryMax)");
  remedy.add("use fewer --loader.workers", {{"loader.workers", "1"}});
  remedy.add("use a smaller --loader.prefetch");
  return finding(warning,
                 fmt::format("this run takes about {}, the memory limit is {}", size_text(need), size_text(*limit)),
                 "over the limit the kernel kills a process without a word", remedy);
}

Result processes_low(const Facts& facts, const Needs& needs) {
  constexpr std::uint64_t others = 64;  // threads of LibTorch and CUDA, and the shell's processes
  constexpr const char* enough = "4096";
  const std::uint64_t need = others + static_cast<std::uint64_t>(std::max(needs.workers, 0)) +
                             static_cast<std::uint64_t>(std::max(facts.host.cores, 0));
  const Limit& of_cgroup = facts.host.processes_limit;
  const Limit& of_user = facts.limits.processes;
  const bool cgroup_low = of_cgroup && *of_cgroup < need;
  const bool user_low = of_user && *of_user < need;
  if (!cgroup_low && !user_low) return {};
  Remedy remedy(facts, needs);
  if (cgroup_low) {
    remedy.add(in_container(facts) ? "start the container with `--pids-limit 4096`"
                                   : "`sudo systemctl set-property user-$(id -u).slice TasksMax=4096`");
  } else {
    remedy.add("`ulimit -u 4096`", {{"limits.processes", enough}});
  }
  remedy.add("use fewer --loader.workers", {{"loader.workers", "1"}});
  const std::uint64_t least = std::min(of_cgroup.value_or(~0ull), of_user.value_or(~0ull));
  return finding(warning, fmt::format("at most {} processes and threads may run; {} are wanted", least, need),
                 cgroup_low ? "the limit of this container or session (pids) is low" : "the limit of this user is low",
                 remedy);
}

Result too_many_workers(const Facts& facts, const Needs& needs) {
  const int cores = facts.host.cores;
  if (cores <= 0 || needs.workers <= cores) return {};
  const int all = facts.host.logical_cores;
  Remedy remedy(facts, needs);
  remedy.add(fmt::format("use --loader.workers {}", cores), {{"loader.workers", std::to_string(cores)}});
  if (in_container(facts) && (all == 0 || all > cores)) remedy.add("give the container more cores (`--cpus`)");
  return finding(warning,
                 fmt::format("loader.workers = {}, and this process may use {}{} cores", needs.workers, cores,
                             all > 0 ? fmt::format(" of the machine's {}", all) : ""),
                 "more workers than cores take turns and slow each other down", remedy);
}

Result too_many_threads(const Facts& facts, const Needs& needs) {
  const int cores = facts.host.cores;
  const int processes = std::max(needs.local_world_size, 1);
  const int share = std::max(cores / processes, 1);
  if (cores <= 0 || needs.threads <= share) return {};
  Remedy remedy(facts, needs);
  remedy.add(fmt::format("use --train.threads {}, or leave it out", share), {{"train.threads", std::to_string(share)}});
  return finding(
      warning,
      fmt::format("train.threads = {}{}, and {} cores may be used", needs.threads,
                  processes > 1 ? fmt::format(" in each of {} processes", processes) : "", cores),
      "the threads wait for one another in every operation; with more threads than cores, each wait takes as "
      "long as the operating system lets other threads run",
      remedy);
}

Result open_files_low(const Facts& facts, const Needs& needs) {
  const std::uint64_t need = 256 + 8 * static_cast<std::uint64_t>(std::max(needs.workers, 0));
  const Limit& limit = facts.limits.open_files;
  if (!limit || *limit >= need) return {};
  // A shell may raise its soft limit up to the hard limit.
  const Limit& most = facts.limits.open_files_most;
  const std::uint64_t reachable = std::min<std::uint64_t>(most.value_or(65'536), 65'536);
  Remedy remedy(facts, needs);
  if (reachable >= need) {
    remedy.add(fmt::format("`ulimit -n {}`", reachable), {{"limits.open_files", std::to_string(reachable)}});
  }
  if (in_container(facts)) remedy.add("start the container with `--ulimit nofile=65536`");
  if (remedy.empty())
    remedy.add("raise the user's limit: `* hard nofile 65536` in /etc/security/limits.conf, log in again");
  return finding(warning, fmt::format("at most {} files may be open; {} are wanted", *limit, need),
                 "the limit of this shell or container (ulimit -n) is low", remedy);
}

Result run_dir_unwritable(const Facts& facts, const Needs& needs) {
  const FolderFacts* runs = folder(facts, "runs");
  if (!runs || runs->usable) return {};
  const bool is_file = !runs->error.empty();  // the path, or a folder above it
  const std::string what = "run.dir" + (runs->path.empty() ? "" : " = " + runs->path) +
                           (is_file        ? " cannot be a folder"
                            : runs->exists ? " cannot be written"
                                           : " does not exist and cannot be made");
  Remedy remedy(facts, needs);
  remedy.add("choose another folder with --run.dir");
  if (is_file) {
    remedy.add("move that file away");
    return finding(error, what, runs->error, remedy);
  }
  if (runs->read_only) {
    remedy.add("mount it writable");
    return finding(error, what, "it is mounted read-only", remedy);
  }
  const bool foreign = runs->owner >= 0 && runs->owner != facts.host.uid;
  const std::string rights = runs->mode.empty() ? "" : " with rights " + runs->mode;
  std::string why = runs->mode.empty() ? "this user may not write there" : "its rights are " + runs->mode;
  if (foreign) {
    why = fmt::format("{} belongs to user {}{}, and this is user {}", runs->exists ? "it" : "the folder above it",
                      runs->owner, rights, facts.host.uid);
    if (in_container(facts)) {
      remedy.add(fmt::format("start the container with `--user {}` (HOST_UID in .env)", runs->owner));
      remedy.add(fmt::format("on the host: `sudo chown -R {}` the folder", facts.host.uid));
    } else {
      remedy.add("`sudo chown -R $(id -u):$(id -g)` that folder");
    }
  } else {
    remedy.add("`chmod u+rwx` that folder");
  }
  return finding(error, what, std::move(why), remedy);
}

Result saving_refused(const Facts& facts, const Needs&) {
  const FolderFacts* runs = folder(facts, "runs");
  if (!runs || !runs->usable || runs->error.empty()) return {};
  return finding(error,
                 fmt::format("a run with these settings could not save its checkpoints in run.dir = {}", runs->path),
                 runs->error, "remove the cause, or choose another folder with --run.dir");
}

Result disk_full(const Facts& facts, const Needs& needs) {
  const FolderFacts* runs = folder(facts, "runs");
  if (!runs || !runs->usable || !runs->free || *runs->free >= needs.disk) return {};
  return finding(warning,
                 fmt::format("run.dir{} has {} free, {} are wanted", runs->path.empty() ? "" : " = " + runs->path,
                             size_text(*runs->free), size_text(needs.disk)),
                 "checkpoints may not fit", "remove old runs, or choose another disk with --run.dir");
}

// If a location is configured, the data must exist; the default locations may be filled later.
Result data_missing(const Facts& facts, const Needs& needs) {
  const FolderFacts* data = folder(facts, "data");
  if (!data) return {};
  const bool named = !needs.data_root.empty();
  const Severity severity = named ? error : warning;
  if (named && !data->usable) {
    return finding(severity,
                   "data.root" + (data->path.empty() ? "" : " = " + data->path) +
                       (data->exists ? " cannot be read" : " does not exist"),
                   in_container(facts) ? "a folder of the host is seen in a container only when it is mounted"
                                       : "the path is wrong, or this user has no right to it",
                   in_container(facts) ? "correct --data.root, or mount the folder: `-v /host/folder:/data:ro`"
                                       : "correct --data.root, or the folder's rights");
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
    what = fmt::format("the clock is wrong: {} has entries of {} days from now",
                       runs->path.empty() ? "run.dir" : runs->path, (runs->newest - now) / day);
    why = "it is behind, or was ahead when they were written";
  } else {
    return {};
  }
  return finding(warning, std::move(what), std::move(why),
                 on_host(facts) + "`sudo timedatectl set-ntp true`" +
                     (facts.host.wsl2 ? " (WSL2: `sudo hwclock -s` after a suspend)" : "") +
                     "; the times of runs and checkpoints are wrong until then");
}

// LibTorch comes with its CUDA libraries; an older one that is found first is loaded instead.
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
    Remedy remedy(facts, needs);
    remedy.add("unset LD_LIBRARY_PATH, or take that folder out of it: LibTorch brings its own",
               {{"env.LD_LIBRARY_PATH", ""}});
    remedy.add("remove that copy, or install torch again, which brings its own");
    return finding(warning, fmt::format("{} {} is loaded, LibTorch was built with {}", name, loaded, compiled),
                   (from == facts.libraries.end() || from->path.empty() ? std::string("another copy is found first")
                                                                        : from->path + " is found first") +
                       library_path(facts),
                   remedy);
  }
  return {};
}

// "575.57.08" from ".../libcuda.so.575.57.08"; forward compatibility intentionally installs a newer one.
Result stray_libcuda(const Facts& facts, const Needs& needs) {
  constexpr std::string_view file = "libcuda.so.";
  const std::size_t place = facts.driver.libcuda.rfind(file);
  if (needs.device == "cpu" || place == std::string::npos || facts.driver.version.empty()) return {};
  const std::string version = facts.driver.libcuda.substr(place + file.size());
  if (major_of(version) < 100 || compare_versions(version, facts.driver.version) >= 0) return {};
  Remedy remedy(facts, needs);
  remedy.add("take its folder out of LD_LIBRARY_PATH", {{"env.LD_LIBRARY_PATH", ""}});
  remedy.add("remove it: a compat package that is older than the driver is no longer needed");
  return finding(
      warning,
      fmt::format("libcuda is of driver {}, the driver is {}: {}", version, facts.driver.version, facts.driver.libcuda),
      "an older copy is found before the driver's own" + library_path(facts), remedy);
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
    {"saving-refused", "runs", saving_refused},
    {"data-missing", "data", data_missing},
    {"disk-full", "runs", disk_full},
    {"memory-limit", "memory", memory_limit},
    {"too-many-workers", "cpu", too_many_workers},
    {"too-many-threads", "cpu", too_many_threads},
    {"open-files-low", "limits", open_files_low},
    {"processes-low", "limits", processes_low},
    {"clock-wrong", "host", clock_wrong},
};

}  // namespace

std::span<const Rule> host() { return table; }

}  // namespace trainyard::rules
