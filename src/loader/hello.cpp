#include "loader/hello.h"

#include <algorithm>
#include <cstring>

#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include "datasets/column_json.h"
#include "loader/descriptor_message.h"

namespace trainyard {
namespace {

// The first packet carries the encoded size and the arena's descriptors, those that follow the encoded bytes.
constexpr std::size_t part_bytes = 16 << 10;  // every system sends as many in one packet

nlohmann::json encoded(const Field& field) {
  const auto& [name, dtype, shape, varies, is_stored_image, encoded_bytes, values, columns] = field;  // all of them
  nlohmann::json json = {{"name", name},      {"dtype", static_cast<int>(dtype)},   {"shape", shape},
                         {"varies", varies},  {"is_stored_image", is_stored_image}, {"encoded_bytes", encoded_bytes},
                         {"columns", columns}};
  if (values) json["values"] = values->count;
  if (values && values->ignored) json["ignored"] = *values->ignored;
  return json;
}

Field decoded_field(const nlohmann::json& json) {
  Field field{.name = json.at("name"),
              .dtype = static_cast<DType>(json.at("dtype").get<int>()),
              .shape = json.at("shape"),
              .varies = json.at("varies"),
              .is_stored_image = json.at("is_stored_image"),
              .encoded_bytes = json.at("encoded_bytes"),
              .values = std::nullopt,
              .columns = json.at("columns")};
  if (const auto values = json.find("values"); values != json.end()) field.values = ValueRange{*values};
  if (const auto ignored = json.find("ignored"); ignored != json.end()) {
    field.values->ignored = ignored->get<std::int64_t>();
  }
  return field;
}

// Encodes as bytes: a JSON element takes twice the memory of an integer.
nlohmann::json encoded(const std::vector<std::uint64_t>& numbers) {
  const std::span bytes = std::as_bytes(std::span(numbers));
  const auto* const first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return nlohmann::json::binary({first, first + bytes.size()});
}

std::vector<std::uint64_t> decoded_numbers(const nlohmann::json& json) {
  const nlohmann::json::binary_t& bytes = json.get_binary();
  std::vector<std::uint64_t> numbers(bytes.size() / sizeof(std::uint64_t));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

// As MessagePack: exact numbers, and names that need not be UTF-8.
std::vector<std::uint8_t> encode(const Hello& hello) {
  nlohmann::json splits = nlohmann::json::array();
  for (const SplitInfo& split : hello.splits) {
    splits.push_back({{"size", split.size},
                      {"fields", nlohmann::json::array()},
                      {"padded", split.padded},
                      {"class_names", split.class_names},
                      {"fingerprint", split.fingerprint},
                      {"mean", split.channel_mean},
                      {"std", split.channel_std},
                      {"class_counts", split.class_counts},
                      {"warning", split.warning},
                      {"from_train", split.from_train},
                      {"left_out", nlohmann::json::array()}});
    for (const Field& field : split.fields) splits.back()["fields"].push_back(encoded(field));
    for (const LeftOut& one : split.left_out) {
      splits.back()["left_out"].push_back({{"reason", one.reason}, {"count", one.count}, {"first", one.first}});
    }
    if (const std::optional<RandomMirror>& mirror = split.mirror) {
      splits.back()["mirror"] = {{"place", mirror->place}, {"name_key", mirror->name_key}, {"p", mirror->p}};
    }
    if (!split.by_class.empty()) {
      splits.back()["by_class"] = {encoded(split.by_class.labels()), encoded(split.by_class.begins()),
                                   encoded(split.by_class.samples())};
    }
  }
  return nlohmann::json::to_msgpack(
      {{"code", static_cast<int>(hello.code)}, {"error", hello.error}, {"pid", hello.pid}, {"splits", splits}});
}

Hello decode_hello(std::span<const std::byte> bytes) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const nlohmann::json json = nlohmann::json::from_msgpack(first, first + bytes.size());
  Hello hello{.code = static_cast<ExitCode>(json.at("code").get<int>()),
              .error = json.at("error").get<std::string>(),
              .pid = json.at("pid").get<pid_t>(),
              .splits = {}};
  for (const nlohmann::json& split : json.at("splits")) {
    hello.splits.push_back({.size = split.at("size"),
                            .fields = {},
                            .padded = split.at("padded"),
                            .class_names = split.at("class_names"),
                            .fingerprint = split.at("fingerprint"),
                            .channel_mean = split.at("mean"),
                            .channel_std = split.at("std"),
                            .class_counts = split.at("class_counts"),
                            .left_out = {},
                            .warning = split.at("warning"),
                            .from_train = split.at("from_train"),
                            .mirror = std::nullopt,
                            .by_class = {}});
    for (const nlohmann::json& field : split.at("fields")) hello.splits.back().fields.push_back(decoded_field(field));
    for (const nlohmann::json& one : split.at("left_out")) {
      hello.splits.back().left_out.push_back({one.at("reason"), one.at("count"), one.at("first")});
    }
    if (const auto mirror = split.find("mirror"); mirror != split.end()) {
      hello.splits.back().mirror = {mirror->at("place"), mirror->at("name_key"), mirror->at("p")};
    }
    if (const auto lists = split.find("by_class"); lists != split.end()) {
      hello.splits.back().by_class = {decoded_numbers(lists->at(0)), decoded_numbers(lists->at(1)),
                                      decoded_numbers(lists->at(2))};
    }
  }
  return hello;
}

}  // namespace

void send_hello(int socket, const Hello& hello, std::span<const int> arena) {
  const std::vector<std::uint8_t> text = encode(hello);
  const std::uint64_t size = text.size();
  send_with_descriptors(socket, std::as_bytes(std::span(&size, 1)), arena);
  for (std::size_t sent = 0; sent < text.size(); sent += part_bytes) {
    const std::span part = std::span(text).subspan(sent, std::min(part_bytes, text.size() - sent));
    check_call(retry_on_eintr([&] { return send(socket, part.data(), part.size(), MSG_NOSIGNAL); }), "loader", "send",
               "hello");
  }
}

std::optional<ReceivedHello> receive_hello(int socket) {
  std::uint64_t size = 0;
  DescriptorMessage first = receive_with_descriptors(socket, std::as_writable_bytes(std::span(&size, 1)));
  if (first.bytes != sizeof size) return std::nullopt;
  std::vector<std::byte> text(size);
  for (std::size_t begin = 0; begin < size; begin += part_bytes) {
    const std::span part = std::span(text).subspan(begin, std::min<std::size_t>(part_bytes, size - begin));
    const ssize_t count = retry_on_eintr([&] { return recv(socket, part.data(), part.size(), 0); });
    if (count != std::ssize(part)) return std::nullopt;
  }
  return ReceivedHello{decode_hello(text), std::move(first.descriptors)};
}

}  // namespace trainyard
