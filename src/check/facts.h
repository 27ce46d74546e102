/// What is known of the machine: plain data, gathered by gather.h, written to and read from JSON by facts_json.h,
/// judged by diagnose.h. Sizes are in bytes, times in seconds. An empty string, a 0 or a nullopt means "not known" or
/// "none", as each field says. Hosts, users, serial numbers and home folders are left out, unless they were asked for.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace trainyard {

/// A limit that may be absent: nullopt is "unlimited".
using Limit = std::optional<std::uint64_t>;

/// A file in /dev that the NVIDIA driver serves.
struct DeviceNode {
  std::string name;   ///< "nvidia0", "nvidiactl", "nvidia-uvm", "dxg", ...
  std::string error;  ///< why nvidiactl cannot be opened; empty: it can, or it was not tried
};

struct HostFacts {
  std::string distribution;  ///< "Debian GNU/Linux 12 (bookworm)"
  std::string kernel;        ///< release, as uname -r
  std::string container;     ///< "docker", "podman", "kubernetes", "lxc", "other"; empty: none
  bool wsl2 = false;         ///< Windows Subsystem for Linux
  bool shares_ipc = false;   ///< this process is in the host's IPC namespace, as with --ipc=host
  std::string name;          ///< of the host; empty unless asked for
  std::string user;          ///< who runs this; empty unless asked for
  int uid = 0;               ///< effective user, 0 is root
  std::string cgroup;        ///< "v1", "v2"; empty: none
  int cores = 0;             ///< processors this process may use (affinity and cgroup)
  double cpu_quota = 0;      ///< of the cgroup, in processors; 0: none
  int logical_cores = 0;     ///< processors of the machine
  int physical_cores = 0;    ///< without hyper-threads
  std::uint64_t memory = 0;  ///< of the machine
  std::uint64_t memory_available = 0;
  Limit memory_limit;                     ///< of the cgroup
  std::uint64_t memory_used = 0;          ///< by the cgroup, page cache included; 0: not known
  std::uint64_t out_of_memory_kills = 0;  ///< in the cgroup so far
  Limit processes_limit;                  ///< of the cgroup
  std::vector<std::string> nvidia_cards;  ///< PCI display devices of vendor 0x10de, as their device ids, "0x2335"
  int nvswitches = 0;                     ///< PCI bridges of vendor 0x10de
  std::vector<std::string> infiniband;    ///< adapters of InfiniBand and RoCE, "mlx5_0"
  std::string kernel_module;              ///< first line of /proc/driver/nvidia/version; empty: not loaded
  std::vector<DeviceNode> device_nodes;
  std::int64_t clock = 0;         ///< seconds since 1970
  std::int64_t program_time = 0;  ///< when this program's file was written, seconds since 1970; 0: not known
};

/// A process that computes on a GPU.
struct ProcessFacts {
  int pid = 0;               ///< on the host: in a container it names nothing
  std::string name;          ///< as in /proc/PID/comm; empty in a container
  std::uint64_t memory = 0;  ///< of the GPU; 0: not known
};

/// One GPU as the driver's management library (NVML) sees it, whether CUDA may use it or not.
struct CardFacts {
  std::string pci;  ///< "00000000:1B:00.0"
  std::string name;
  std::string uuid;    ///< "GPU-..."; empty unless asked for
  std::string serial;  ///< empty unless asked for
  std::uint64_t memory = 0;
  std::uint64_t memory_free = 0;
  bool mig = false;       ///< MIG mode is on
  int mig_instances = 0;  ///< that NVML shows
  bool persistence = false;
  std::string compute_mode;  ///< "default", "exclusive_thread", "prohibited", "exclusive_process"; empty: unknown
  bool ecc = false;          ///< ECC is on
  std::uint64_t ecc_corrected = 0;      ///< ECC errors since the driver was loaded
  std::uint64_t ecc_uncorrected = 0;    ///< the same, uncorrected
  bool repair_pending = false;          ///< broken memory rows or pages will be replaced at the next reset
  bool repair_failed = false;           ///< broken memory rows could not be replaced
  std::vector<std::string> slowed_by;   ///< reasons of lowered clocks: "hardware", "thermal", "power brake"
  int temperature = 0;                  ///< degrees Celsius; 0: not known
  double power = 0;                     ///< watts now; 0: not known
  double power_limit = 0;               ///< watts allowed; 0: not known
  int pcie_generation = 0;              ///< of the link now (lower when idle); 0: not known
  int pcie_width = 0;                   ///< lanes of the link now; 0: not known
  int pcie_width_most = 0;              ///< lanes that card and slot could use; 0: not known
  std::string fabric;                   ///< NVSwitch: "not started", "in progress", "completed"; empty: none, not known
  std::vector<ProcessFacts> processes;  ///< compute processes, ours not among them
};

struct DriverFacts {
  std::string libcuda;        ///< path of the libcuda.so.1 that was loaded; empty: none could be
  std::string libcuda_error;  ///< the loader's words
  int cuda_version = 0;       ///< cuDriverGetVersion: 13000 is CUDA 13.0
  int init_code = -1;         ///< cuInit's result; -1: not called
  std::string init_error;     ///< its name and text; empty for 0
  int nvml_code = -1;         ///< nvmlInit_v2's result; -1: no libnvidia-ml.so.1
  std::string nvml_error;     ///< its text, or the loader's words
  std::string version;        ///< the driver's version by NVML, "580.65.06"
  std::vector<CardFacts> cards;
};

struct TorchFacts {
  std::string version;        ///< "2.14.0"; empty: not gathered
  std::string cuda_compiled;  ///< CUDA version LibTorch was built with, "13.0"; empty: a CPU-only LibTorch
  bool cuda_linked = false;   ///< the GPU half of LibTorch is in this process
  std::string cuda_runtime;   ///< versions of the libraries loaded; empty: not loaded
  std::string cudnn;
  std::string nccl;
  std::string cudnn_compiled;  ///< versions LibTorch was built with; empty: not known
  std::string nccl_compiled;
  std::vector<std::string> architectures;  ///< "sm_75", "compute_90", ...: what LibTorch's kernels were compiled for
  std::vector<std::string> own_architectures;  ///< the same of Trainyard's own kernels; "none": it has none
};

/// A CUDA library that is loaded, or lies in a folder of LD_LIBRARY_PATH or in CUDA's compat folder.
struct LibraryFacts {
  std::string name;     ///< "libcudart.so.13"
  std::string path;     ///< the file itself, links followed
  bool loaded = false;  ///< by this process
};

/// One GPU as CUDA sees it.
struct DeviceFacts {
  int index = 0;  ///< N of cuda:N
  std::string name;
  int major = 0;  ///< compute capability
  int minor = 0;
  std::uint64_t memory = 0;
  std::uint64_t memory_free = 0;  ///< 0: not known
  std::string pci;                ///< joins it with its CardFacts
};

struct SharedMemoryFacts {
  std::string path = "/dev/shm";
  std::uint64_t size = 0;  ///< 0: there is none
  std::uint64_t free = 0;
  bool writable = false;
  std::uint64_t tried = 0;  ///< bytes that posix_fallocate was asked for; 0: not tried
  std::string error;        ///< why writing or allocating failed
};

struct LimitFacts {
  Limit open_files;       ///< soft RLIMIT_NOFILE
  Limit open_files_most;  ///< hard RLIMIT_NOFILE
  int open_now = 0;       ///< descriptors this process has open
  Limit memlock;          ///< soft RLIMIT_MEMLOCK
  Limit processes;        ///< soft RLIMIT_NPROC
  Limit stack;            ///< soft RLIMIT_STACK
  Limit address_space;    ///< soft RLIMIT_AS
};

/// A folder the run needs.
struct FolderFacts {
  std::string purpose;  ///< "runs" (written) or "data" (read)
  std::string path;     ///< as configured
  bool exists = false;
  bool usable = false;                ///< "runs": can be written, or made; "data": can be listed
  std::optional<std::uint64_t> free;  ///< bytes of its disk; nullopt: not known
  int owner = -1;                     ///< user id of the folder, or of the nearest parent that is there; -1: not known
  std::string mode;                   ///< its rights, "0755"; empty: not known
  bool read_only = false;             ///< mounted so
  std::int64_t newest = 0;            ///< when its newest entry was written, seconds since 1970; 0: there is none
  std::string error;  ///< in its own words, why the dataset cannot be read ("data"), or no checkpoint be saved ("runs")
};

/// One small computation on one device, its numbers compared with the CPU's in double precision.
struct ProbeFacts {
  std::string device;  ///< "cpu", "cuda:0", "gpus" for what several do together, "engine" for words of Docker or Podman
  std::string name;    ///< "matmul bf16"
  std::string outcome;  ///< "ok", "error", "wrong", "crashed", "hung"
  std::string message;  ///< the error's words; empty when ok
  double seconds = 0;
  double max_error = 0;         ///< largest difference, relative to the largest expected value; NaN: not compared
  double bytes_per_second = 0;  ///< of a copy; 0: not measured
};

struct Facts {
  HostFacts host;
  DriverFacts driver;
  TorchFacts torch;
  std::vector<LibraryFacts> libraries;
  std::vector<DeviceFacts> devices;
  SharedMemoryFacts shared_memory;
  LimitFacts limits;
  std::vector<FolderFacts> folders;
  std::map<std::string, std::string> environment;  ///< only variables that are set
  std::vector<ProbeFacts> probes;
};

/// What the run asks of the machine; `diagnose` compares it with the facts.
struct Needs {
  std::string device = "auto";            ///< train.device
  int local_rank = 0;                     ///< of this process, among those of the run on this host
  int local_world_size = 1;               ///< how many these are; the check narrows `device` to this one's
  int world_size = 1;                     ///< ranks of the run on all hosts
  std::string precision = "fp32";         ///< train.precision
  int workers = 0;                        ///< loader.workers
  int batch_size = 0;                     ///< loader.batch_size; 0: not known
  std::uint64_t shared_memory = 0;        ///< of the loader's arena as configured; 0: none, or not known
  std::uint64_t shared_memory_least = 0;  ///< with less the loader cannot work at all
  std::uint64_t memory = 0;               ///< of all processes, neither arena nor CUDA counted; 0: not known
  std::uint64_t disk = 1ull << 30;        ///< free space wanted in the folder of runs
  std::string run_dir;                    ///< run.dir; empty: nothing will be written
  std::string data_root;                  ///< data.root; empty: the default places
};

}  // namespace trainyard
