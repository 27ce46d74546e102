#include "loader_torch/peer_memory.h"

#include <array>
#include <bit>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ops/from_blob.h>
#include <c10/core/ScalarType.h>
#include <c10/cuda/CUDAException.h>
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "util/error.h"

namespace trainyard {
namespace {

// A function of the driver, looked up at run time: the program must start on a machine without a driver.
template <typename Function>
class DriverCall {
 public:
  explicit DriverCall(const char* name) : name_(name) {
    constexpr unsigned cuda_version = 12'000;
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
    C10_CUDA_CHECK(cudaGetDriverEntryPointByVersion(name, &found, cuda_version, cudaEnableDefault, &result));
    if (result != cudaDriverEntryPointSuccess) throw MachineError("loader", "the driver has no {}: update it", name);
    function_ = reinterpret_cast<Function>(found);
  }

  template <typename... Args>
  void operator()(Args... args) const {
    if (const CUresult result = function_(args...); result != CUDA_SUCCESS) {
      // The runtime's errors have the driver's numbers.
      throw RunError("loader", "{}: {} (error {}); set loader.cache = none or shm", name_,
                     cudaGetErrorString(static_cast<cudaError_t>(result)), static_cast<int>(result));
    }
  }

  // For destructors.
  template <typename... Args>
  void ignoring_errors(Args... args) const noexcept {
    function_(args...);
  }

 private:
  const char* name_;
  Function function_;
};

struct Driver {
  const DriverCall<decltype(&cuMemCreate)> create{"cuMemCreate"};
  const DriverCall<decltype(&cuMemRelease)> release{"cuMemRelease"};
  const DriverCall<decltype(&cuMemExportToShareableHandle)> export_handle{"cuMemExportToShareableHandle"};
  const DriverCall<decltype(&cuMemImportFromShareableHandle)> import_handle{"cuMemImportFromShareableHandle"};
  const DriverCall<decltype(&cuMemAddressReserve)> reserve{"cuMemAddressReserve"};
  const DriverCall<decltype(&cuMemAddressFree)> free{"cuMemAddressFree"};
  const DriverCall<decltype(&cuMemMap)> map{"cuMemMap"};
  const DriverCall<decltype(&cuMemUnmap)> unmap{"cuMemUnmap"};
  const DriverCall<decltype(&cuMemSetAccess)> set_access{"cuMemSetAccess"};
};

const Driver& driver() {
  static const Driver functions;
  return functions;
}

int ordinal_of(at::Device device) { return static_cast<std::uint8_t>(device.index()); }

// A handle of physical memory, which lives until all handles and mappings of it in all processes are gone.
class PhysicalMemory {
 public:
  // New memory on `device`.
  PhysicalMemory(at::Device device, std::size_t bytes) {
    CUmemAllocationProp kind{};
    kind.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    kind.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    kind.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    kind.location.id = ordinal_of(device);
    driver().create(&handle_, bytes, &kind, 0ULL);
  }
  // That of another process, which has exported it.
  explicit PhysicalMemory(const UniqueFd& exported) {
    driver().import_handle(&handle_, std::bit_cast<void*>(std::intptr_t{exported.get()}),
                           CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
  }
  ~PhysicalMemory() { driver().release.ignoring_errors(handle_); }
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;

  UniqueFd exported() const {
    int descriptor = -1;
    driver().export_handle(static_cast<void*>(&descriptor), handle_, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0ULL);
    return UniqueFd(descriptor);
  }

  CUmemGenericAllocationHandle get() const { return handle_; }

 private:
  CUmemGenericAllocationHandle handle_ = 0;
};

// A range of addresses of `parts` pieces of the same size.
class AddressRange {
 public:
  AddressRange(at::Device device, std::size_t part_bytes, std::size_t parts)
      : device_(device), part_bytes_(part_bytes), parts_(parts) {
    driver().reserve(&begin_, part_bytes * parts, std::size_t{0}, CUdeviceptr{0}, 0ULL);
  }
  ~AddressRange() {
    cudaDeviceSynchronize();  // kernels may still read it
    for (std::size_t part = 0; part < mapped_; ++part) driver().unmap.ignoring_errors(place_of(part), part_bytes_);
    driver().free.ignoring_errors(begin_, part_bytes_ * parts_);
  }
  AddressRange(const AddressRange&) = delete;
  AddressRange& operator=(const AddressRange&) = delete;

  // Maps the next part.
  void map(const PhysicalMemory& memory) {
    driver().map(place_of(mapped_), part_bytes_, std::size_t{0}, memory.get(), 0ULL);
    ++mapped_;
  }

  void make_accessible() const {
    CUmemAccessDesc access{};
    access.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    access.location.id = ordinal_of(device_);
    access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    driver().set_access(begin_, part_bytes_ * parts_, &access, std::size_t{1});
  }

  void* data() const { return std::bit_cast<void*>(begin_); }

 private:
  CUdeviceptr place_of(std::size_t part) const { return begin_ + part * part_bytes_; }

  at::Device device_;
  std::size_t part_bytes_;
  std::size_t parts_;
  std::size_t mapped_ = 0;
  CUdeviceptr begin_ = 0;
};

std::string bus_id_of(at::Device device) {
  std::array<char, 32> text{};
  C10_CUDA_CHECK(cudaDeviceGetPCIBusId(text.data(), static_cast<int>(text.size()), device.index()));
  return text.data();
}

void require_access_to_peers(at::Device device, const HostGroup& group) {
  const std::string own = bus_id_of(device);
  for (const std::string& peer : group.all_gather(own)) {
    if (peer == own) continue;
    int index = -1;
    int can = 0;
    if (cudaDeviceGetByPCIBusId(&index, peer.c_str()) == cudaSuccess) {
      C10_CUDA_CHECK(cudaDeviceCanAccessPeer(&can, device.index(), index));
    } else {
      cudaGetLastError();  // clears it, so that a later check does not report it
    }
    if (can == 1) continue;
    throw MachineError("loader",
                       "the data of loader.cache = gpu does not fit on one GPU, and GPU {} cannot access the memory of "
                       "GPU {}{}; set loader.cache = none or shm",
                       own, peer, index < 0 ? ", which this rank does not see (CUDA_VISIBLE_DEVICES)" : "");
  }
}

}  // namespace

at::Tensor empty_on_peers(at::IntArrayRef shape, at::ScalarType type, at::Device device, const HostGroup& group) {
  require_access_to_peers(device, group);
  std::uint64_t bytes = c10::elementSize(type);
  for (const std::int64_t size : shape) bytes *= static_cast<std::uint64_t>(size);
  const std::uint64_t share = peer_share(bytes, group.count);
  const PhysicalMemory own(device, share);
  const std::vector<UniqueFd> exported = exchange_descriptors(own.exported().get(), group);
  auto range = std::make_shared<AddressRange>(device, share, exported.size());
  for (const UniqueFd& memory : exported) range->map(PhysicalMemory(memory));
  range->make_accessible();
  void* const data = range->data();
  return at::from_blob(
      data, shape, [range = std::move(range)](void*) {}, at::TensorOptions(device).dtype(type), device);
}

}  // namespace trainyard
