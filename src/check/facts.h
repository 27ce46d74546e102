/// What is known about the machine: plain data, gathered by gather.h, converted to and from JSON by facts_json.h,
/// judged by diagnose.h. Sizes are in bytes, times in seconds. An empty string, 0 or nullopt means "unknown" or "none",
/// as documented for each field. Names of hosts and users, serial numbers and home folders are left out unless
/// requested.
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

/// A device file of the NVIDIA driver in /dev.
struct DeviceNode {
  std::string name;   ///< "nvidia0", "nvidiactl", "nvidia-uvm", "dxg", ...
  std::string error;  ///< why nvidiactl cannot be opened; empty: it can, or was not tried
};

struct HostFacts {
  std::string distribution;  ///< "Debian GNU/Linux 12 (bookworm)"
  std::string kernel;        ///< release, see uname -r
  std::string container;     ///< "docker", "podman", "kubernetes", "lxc", "other"; empty: none
  bool wsl2 = false;         ///< Windows Subsystem for Linux
  bool shares_ipc = false;   ///< in the host's IPC namespace, e.g. with --ipc=host
  std::string name;          ///< of the host; empty unless requested
  std::string user;          ///< who runs this; empty unless requested
  int uid = 0;               ///< effective user, 0 is root
  std::string cgroup;        ///< "v1", "v2"; empty: none
  int cores = 0;             ///< available to this process (affinity and cgroup)
  double cpu_quota = 0;      ///< of the cgroup, in cores; 0: none
  int logical_cores = 0;     ///< of the machine
  int physical_cores = 0;    ///< without hyper-threads
  std::uint64_t memory = 0;  ///< of the machine
  std::uint64_t memory_available = 0;
  Limit memory_limit;                     ///< of the cgroup
  std::uint64_t memory_used = 0;          ///< by the cgroup, including page cache; 0: unknown
  std::uint64_t out_of_memory_kills = 0;  ///< in the cgroup so far
  Limit processes_limit;                  ///< of the cgroup
  std::vector<std::string> nvidia_cards;  ///< PCI display devices of vendor 0x10de, as their device ids, "0x2335"
  int nvswitches = 0;                     ///< PCI bridges of vendor 0x10de
  std::vector<std::string> infiniband;    ///< adapters of InfiniBand and RoCE, "mlx5_0"
  std::string kernel_module;              ///< first line of /proc/driver/nvidia/version; empty: not loaded
  std::vector<DeviceNode> device_nodes;
  std::int64_t clock = 0;         ///< seconds since 1970
  std::int64_t program_time = 0;  ///< modification time of this program's file, seconds since 1970; 0: unknown
};

/// A process that computes on a GPU.
struct ProcessFacts {
  int pid = 0;               ///< on the host; meaningless in a container
  std::string name;          ///< from /proc/PID/comm; empty in a container
  std::uint64_t memory = 0;  ///< on the GPU; 0: unknown
};

/// One GPU as seen by the driver's management library (NVML), whether or not CUDA may use it.
struct CardFacts {
  std::string pci;  ///< "00000000:1B:00.0"
  std::string name;
  std::string uuid;    ///< "GPU-..."; empty unless requested
  std::string serial;  ///< empty unless requested
  std::uint64_t memory = 0;
  std::uint64_t memory_free = 0;
  bool mig = false;       ///< MIG mode is on
  int mig_instances = 0;  ///< visible through NVML
  bool persistence = false;
  std::string compute_mode;  ///< "default", "exclusive_thread", "prohibited", "exclusive_process"; empty: unknown
  bool ecc = false;          ///< ECC is on
  std::uint64_t ecc_corrected = 0;      ///< corrected ECC errors since the driver was loaded
  std::uint64_t ecc_uncorrected = 0;    ///< uncorrected ECC errors since then
  bool repair_pending = false;          ///< rows or pages to be remapped at the next reset
  bool repair_failed = false;           ///< remapping of memory rows has failed
  std::vector<std::string> slowed_by;   ///< reasons for throttling: "hardware", "thermal", "power brake"
  int temperature = 0;                  ///< degrees Celsius; 0: unknown
  double power = 0;                     ///< current draw in watts; 0: unknown
  double power_limit = 0;               ///< in watts; 0: unknown
  int pcie_generation = 0;              ///< current, of the link (lower when idle); 0: unknown
  int pcie_width = 0;                   ///< current lanes of the link; 0: unknown
  int pcie_width_most = 0;              ///< lanes supported by card and slot; 0: unknown
  std::string fabric;                   ///< NVSwitch: "not started", "in progress", "completed"; empty: none or unknown
  std::vector<ProcessFacts> processes;  ///< compute processes, without this program's
};

struct DriverFacts {
  std::string libcuda;        ///< path of the loaded libcuda.so.1; empty: none
  std::string libcuda_error;  ///< message of the dynamic loader
  int cuda_version = 0;       ///< from cuDriverGetVersion: 13000 is CUDA 13.0
  int init_code = -1;         ///< result of cuInit; -1: not called
  std::string init_error;     ///< its name and text; empty for 0
  int nvml_code = -1;         ///< result of nvmlInit_v2; -1: no libnvidia-ml.so.1
  std::string nvml_error;     ///< its text, or the message of the dynamic loader
  std::string version;        ///< driver version from NVML, "580.65.06"
  std::vector<CardFacts> cards;
};

struct TorchFacts {
  std::string version;        ///< "2.14.0"; empty: not gathered
  std::string cuda_compiled;  ///< CUDA version LibTorch was built for, "13.0"; empty: a CPU-only LibTorch
  bool cuda_linked = false;   ///< LibTorch's CUDA library is loaded in this process
  std::string cuda_runtime;   ///< versions of the loaded libraries; empty: not loaded
  std::string cudnn;
  std::string nccl;
  std::string cudnn_compiled;  ///< versions LibTorch was built with; empty: unknown
  std::string nccl_compiled;
  std::vector<std::string> architectures;      ///< of LibTorch's kernels: "sm_75", "compute_90", ...
  std::vector<std::string> own_architectures;  ///< of Trainyard's own kernels; "none": it has none
};

/// A CUDA library that is loaded, or found in a folder of LD_LIBRARY_PATH or in CUDA's compat folder.
struct LibraryFacts {
  std::string name;     ///< "libcudart.so.13"
  std::string path;     ///< the file itself, links resolved
  bool loaded = false;  ///< by this process
};

/// One GPU as seen by CUDA.
struct DeviceFacts {
  int index = 0;  ///< N of cuda:N
  std::string name;
  int major = 0;  ///< compute capability
  int minor = 0;
  std::uint64_t memory = 0;
  std::uint64_t memory_free = 0;  ///< 0: unknown
  std::string pci;                ///< identifies its CardFacts
  std::string error = {};         ///< why CUDA, which counts this GPU, does not open it; then only `index` is known
};

struct SharedMemoryFacts {
  std::string path = "/dev/shm";
  std::uint64_t size = 0;  ///< 0: it does not exist
  std::uint64_t free = 0;
  bool writable = false;
  std::uint64_t tried = 0;  ///< bytes requested from posix_fallocate; 0: not tried
  std::string error;        ///< why writing or allocating failed
};

struct LimitFacts {
  Limit open_files;       ///< soft RLIMIT_NOFILE
  Limit open_files_most;  ///< hard RLIMIT_NOFILE
  int open_now = 0;       ///< descriptors open in this process
  Limit memlock;          ///< soft RLIMIT_MEMLOCK
  Limit processes;        ///< soft RLIMIT_NPROC
  Limit stack;            ///< soft RLIMIT_STACK
  Limit address_space;    ///< soft RLIMIT_AS
};

/// A folder that the run needs.
struct FolderFacts {
  std::string purpose;  ///< "runs" (written) or "data" (read)
  std::string path;     ///< as configured
  bool exists = false;
  bool usable = false;                ///< "runs": can be written or created; "data": can be listed
  std::optional<std::uint64_t> free;  ///< bytes free on its file system; nullopt: unknown
  int owner = -1;                     ///< user id of the folder, or of its nearest existing parent; -1: unknown
  std::string mode;                   ///< its permissions, "0755"; empty: unknown
  bool read_only = false;             ///< on a read-only mount
  std::int64_t newest = 0;            ///< modification time of its newest entry, seconds since 1970; 0: none
  std::string error;                  ///< why the dataset cannot be read ("data") or no checkpoint saved ("runs")
};

/// One small computation on one device, whose result is compared with the CPU's in double precision.
struct ProbeFacts {
  std::string device;   ///< "cpu", "cuda:0", "gpus" for several together, "driver" for a start of CUDA that failed,
                        ///< "engine" for messages of Docker or Podman
  std::string name;     ///< "matmul bf16"
  std::string outcome;  ///< "ok", "error", "wrong", "crashed", "hung"
  std::string message;  ///< the error message; empty if ok
  double seconds = 0;
  double max_error = 0;         ///< largest difference relative to the largest expected value; NaN: not compared
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

/// What the run requires from the machine; `diagnose` compares it with the facts.
struct Needs {
  std::string device = "auto";            ///< train.device
  int local_rank = 0;                     ///< of this process, among the run's processes on this host
  int local_world_size = 1;               ///< number of these; the check narrows `device` to this rank's
  int world_size = 1;                     ///< number of ranks on all hosts
  std::string precision = "fp32";         ///< train.precision
  int workers = 0;                        ///< loader.workers
  int batch_size = 0;                     ///< loader.batch_size; 0: unknown
  bool keeps_samples = false;             ///< on the GPU (loader.cache = gpu)
  int threads = 0;                        ///< train.threads; 0: as many as there are cores
  std::uint64_t shared_memory = 0;        ///< of the loader's arena as configured; 0: none or unknown
  std::uint64_t shared_memory_least = 0;  ///< the least with which the loader works at all
  std::uint64_t memory = 0;               ///< of all processes, without arena and CUDA; 0: unknown
  std::uint64_t disk = 1ull << 30;        ///< free space recommended for the folder of runs
  std::string run_dir;                    ///< run.dir; empty: nothing will be written
  std::string data_root;                  ///< data.root; empty: the default locations
};

}  // namespace trainyard
