#include "check/facts_json.h"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "util/error.h"

namespace trainyard {
namespace {

using Json = nlohmann::json;

constexpr std::size_t max_bytes = 4u << 20;
constexpr int max_depth = 8;

// One list of fields for each struct serves both directions: T or const T.
template <typename T, typename Facts>
concept Of = std::same_as<std::remove_const_t<T>, Facts>;

template <typename Visitor>
void fields(Visitor& v, Of<DeviceNode> auto& f) {
  v("name", f.name), v("error", f.error);
}

template <typename Visitor>
void fields(Visitor& v, Of<HostFacts> auto& f) {
  v("distribution", f.distribution), v("kernel", f.kernel), v("container", f.container), v("wsl2", f.wsl2);
  v("name", f.name), v("user", f.user), v("uid", f.uid), v("cgroup", f.cgroup), v("cores", f.cores);
  v("cpu_quota", f.cpu_quota), v("logical_cores", f.logical_cores), v("physical_cores", f.physical_cores);
  v("memory", f.memory), v("memory_available", f.memory_available), v("memory_limit", f.memory_limit);
  v("memory_used", f.memory_used), v("out_of_memory_kills", f.out_of_memory_kills);
  v("processes_limit", f.processes_limit), v("nvidia_cards", f.nvidia_cards), v("nvswitches", f.nvswitches);
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
  v("memory_free", f.memory_free), v("pci", f.pci);
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

struct Writer {
  Json object = Json::object();

  template <typename T>
  void operator()(const char* key, const T& value) {
    object[key] = to_json(value);
  }

  template <typename T>
  static Json to_json(const T& value) {
    if constexpr (requires(Writer& w) { fields(w, value); }) {
      Writer writer;
      fields(writer, value);
      return std::move(writer.object);
    } else {
      return value;
    }
  }
  static Json to_json(const Limit& limit) { return limit ? Json(*limit) : Json(nullptr); }
  static Json to_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
  template <typename T>
  static Json to_json(const std::vector<T>& values) {
    Json array = Json::array();
    for (const T& value : values) array.push_back(to_json(value));
    return array;
  }
};

struct Reader {
  const Json& object;
  std::string place;

  template <typename T>
  void operator()(const char* key, T& value) {
    const auto found = object.find(key);
    if (found == object.end()) throw UsageError("check", "{}: the key \"{}\" is missing", place, key);
    from_json(*found, place + "." + key, value);
  }

  [[noreturn]] static void refuse(const Json& json, const std::string& place, const char* wanted) {
    std::string shown = json.dump(-1, ' ', true, Json::error_handler_t::replace);
    if (shown.size() > 40) shown = shown.substr(0, 40) + "...";
    throw UsageError("check", "{} is {}; it must be {}", place, shown, wanted);
  }

  template <typename T>
  static void from_json(const Json& json, const std::string& place, T& value) {
    if (!json.is_object()) refuse(json, place, "an object");
    Reader reader{json, place};
    fields(reader, value);
  }
  static void from_json(const Json& json, const std::string& place, bool& value) {
    if (!json.is_boolean()) refuse(json, place, "true or false");
    value = json.get<bool>();
  }
  template <std::integral T>
  static void from_json(const Json& json, const std::string& place, T& value) {
    if (json.is_number_unsigned() && std::in_range<T>(json.get<std::uint64_t>())) {
      value = static_cast<T>(json.get<std::uint64_t>());
    } else if (json.is_number_integer() && !json.is_number_unsigned() && std::in_range<T>(json.get<std::int64_t>())) {
      value = static_cast<T>(json.get<std::int64_t>());
    } else {
      refuse(json, place, std::is_signed_v<T> ? "a whole number in range" : "a whole number from 0, in range");
    }
  }
  static void from_json(const Json& json, const std::string& place, double& value) {
    if (json.is_null()) {
      value = std::numeric_limits<double>::quiet_NaN();
    } else if (json.is_number()) {
      value = json.get<double>();
    } else {
      refuse(json, place, "a number or null");
    }
  }
  static void from_json(const Json& json, const std::string& place, Limit& value) {
    value.reset();
    if (!json.is_null()) from_json(json, place, value.emplace());
  }
  // Control characters are refused, because a file from elsewhere could steer the terminal with them.
  static void from_json(const Json& json, const std::string& place, std::string& value) {
    if (!json.is_string()) refuse(json, place, "a string");
    value = json.get<std::string>();
    bool after_c2 = false;  // U+0080 to U+009F are two bytes, the first 0xc2
    for (const unsigned char c : value) {
      const bool control = c < 0x20 || c == 0x7f || (after_c2 && c < 0xa0);
      if (control) refuse(json, place, "a string without control characters");
      after_c2 = c == 0xc2;
    }
  }
  template <typename T>
  static void from_json(const Json& json, const std::string& place, std::vector<T>& values) {
    if (!json.is_array()) refuse(json, place, "an array");
    values.clear();
    for (const Json& element : json) {
      const std::string here = fmt::format("{}[{}]", place, values.size());
      from_json(element, here, values.emplace_back());
    }
  }
  static void from_json(const Json& json, const std::string& place, std::map<std::string, std::string>& values) {
    if (!json.is_object()) refuse(json, place, "an object");
    values.clear();
    for (const auto& [key, element] : json.items()) {
      std::string name;
      from_json(Json(key), place, name);
      from_json(element, fmt::format("{}.{}", place, key), values[key]);
    }
  }
};

Json parse(std::string_view text) {
  if (text.size() > max_bytes) {
    throw UsageError("check", "the facts have {} bytes; at most {} are read", text.size(), max_bytes);
  }
  const auto shallow = [](int depth, Json::parse_event_t, const Json&) {
    if (depth > max_depth) throw UsageError("check", "the facts are nested deeper than {} levels", max_depth);
    return true;
  };
  try {
    return Json::parse(text, shallow);
  } catch (const Json::exception& error) {
    std::string reason = error.what();  // which quotes the text, control characters of more than one byte included
    std::replace_if(reason.begin(), reason.end(), [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
    throw UsageError("check", "the facts are no JSON: {}", reason);
  }
}

}  // namespace

Json facts_to_json(const Facts& facts) {
  Json json = Writer::to_json(facts);
  json["schema"] = facts_schema;
  return json;
}

Json needs_to_json(const Needs& needs) { return Writer::to_json(needs); }

Json probe_to_json(const ProbeFacts& probe) { return Writer::to_json(probe); }

Recorded recorded_from_json(std::string_view text) {
  const Json whole = parse(text);
  const bool result = whole.is_object() && whole.contains("facts");
  const Json& json = result ? whole["facts"] : whole;
  if (!json.is_object()) Reader::refuse(json, "facts", "an object");
  int schema = 0;
  Reader{json, "facts"}("schema", schema);
  if (schema != facts_schema) {
    throw UsageError("check", "the facts have schema {}, this trainyard reads {}; use the version that wrote them",
                     schema, facts_schema);
  }
  Recorded recorded;
  Reader::from_json(json, "facts", recorded.facts);
  if (result && whole.contains("needs")) Reader::from_json(whole["needs"], "needs", recorded.needs.emplace());
  return recorded;
}

ProbeFacts probe_from_json(std::string_view text) {
  ProbeFacts probe;
  Reader::from_json(parse(text), "probe", probe);
  return probe;
}

}  // namespace trainyard
