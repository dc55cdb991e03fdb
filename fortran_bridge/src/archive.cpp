#include "archive.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "error.hpp"

namespace emagram {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are read in place");

constexpr std::size_t end_size = 22, central_size = 46, local_size = 30;
constexpr std::uint32_t end_signature = 0x06054b50, central_signature = 0x02014b50, local_signature = 0x04034b50;

[[noreturn]] void broken(const std::string& why) { fail(EMAGRAM_ERROR_FORMAT, "model file: ", why); }

template <class Integer>
Integer read(Bytes file, std::size_t at) {
  if (at > file.size() || file.size() - at < sizeof(Integer)) broken("truncated");
  Integer value;
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}

Bytes slice(Bytes file, std::size_t at, std::size_t size) {
  if (at > file.size() || file.size() - at < size) broken("truncated");
  return file.subspan(at, size);
}

std::string_view characters(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// The end record is the last thing in the file, followed only by the comment whose length it holds.
std::size_t find_end(Bytes file) {
  if (file.size() < end_size) broken("not a zip archive, or truncated");
  const std::size_t farthest = std::min(file.size(), end_size + 65535);
  for (std::size_t back = end_size; back <= farthest; ++back) {
    const std::size_t at = file.size() - back;
    if (read<std::uint32_t>(file, at) == end_signature && read<std::uint16_t>(file, at + 20) == back - end_size)
      return at;
  }
  broken("not a zip archive, or truncated");
}

std::size_t n_bytes(const std::vector<std::size_t>& shape, std::size_t item) {
  std::size_t total = item;
  for (const auto extent : shape) {
    if (extent != 0 && total > SIZE_MAX / extent) broken("a tensor's shape overflows");
    total *= extent;
  }
  return total;
}

std::string shape_text(const std::vector<std::size_t>& shape) {
  std::string out = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + ")";
}

/// Sizes and offsets of safetensors; a float or a negative number throws.
std::vector<std::size_t> sizes(const Json& json) {
  std::vector<std::size_t> out;
  for (const auto& entry : json) {
    if (!entry.is_number_unsigned()) broken("a tensor's shape or offset is not an integer");
    out.push_back(entry.get<std::size_t>());
  }
  return out;
}

}  // namespace

Archive::Archive(Bytes file) {
  const std::size_t end = find_end(file);
  comment_ = characters(file.subspan(end + end_size));
  const auto n_member = read<std::uint16_t>(file, end + 10);
  std::size_t at = read<std::uint32_t>(file, end + 16);
  for (int i = 0; i < n_member; ++i) {
    if (read<std::uint32_t>(file, at) != central_signature) broken("the zip directory is damaged");
    const auto method = read<std::uint16_t>(file, at + 10);
    const auto stored = read<std::uint32_t>(file, at + 20), size = read<std::uint32_t>(file, at + 24);
    const auto name_size = read<std::uint16_t>(file, at + 28), extra_size = read<std::uint16_t>(file, at + 30),
               comment_size = read<std::uint16_t>(file, at + 32);
    const auto local = std::size_t{read<std::uint32_t>(file, at + 42)};
    const std::string name(characters(slice(file, at + central_size, name_size)));
    if (method != 0 || stored != size) broken(text("member '", name, "' is compressed; members must be stored"));
    if (read<std::uint32_t>(file, local) != local_signature) broken("the zip directory is damaged");
    const std::size_t data =
        local + local_size + read<std::uint16_t>(file, local + 26) + read<std::uint16_t>(file, local + 28);
    if (!members_.emplace(name, slice(file, data, size)).second) broken(text("member '", name, "' appears twice"));
    at += central_size + name_size + extra_size + comment_size;
  }
}

Bytes Archive::member(const std::string& name) const {
  const auto found = members_.find(name);
  if (found == members_.end()) broken(text("member '", name, "' is missing"));
  return found->second;
}

Json parse_json(Bytes bytes, const std::string& what) {
  const auto in = characters(bytes);
  auto json = Json::parse(in.begin(), in.end(), nullptr, false);
  if (!json.is_object() || in.find('\0') != std::string_view::npos) broken(text(what, " is not a JSON object"));
  return json;
}

int integer(const Json& json, const std::string& what, int least, int most) {
  if (!json.is_number_integer() || json < least || json > most)
    broken(text(what, ": expected an integer from ", least, " to ", most, ", got ", json.dump().substr(0, 40)));
  return json.get<int>();
}

Tensors::Tensors(Bytes member, std::string member_name) : member_name_(std::move(member_name)) {
  const auto header_size = read<std::uint64_t>(member, 0);
  if (header_size > member.size()) broken(text(member_name_, " is damaged"));
  const Json header = parse_json(slice(member, 8, header_size), "the header of " + member_name_);
  const Bytes data = member.subspan(8 + header_size);
  try {
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") continue;
      View view{entry.at("dtype"), sizes(entry.at("shape")), {}};
      const std::size_t item = view.dtype == "F64" ? 8 : view.dtype == "F32" ? 4 : 0;
      const auto range = sizes(entry.at("data_offsets"));
      if (item == 0 || range.size() != 2 || range[1] < range[0] || range[1] - range[0] != n_bytes(view.shape, item))
        broken(text("tensor '", name, "' of ", member_name_, " contradicts its own description"));
      view.data = slice(data, range[0], range[1] - range[0]);
      views_.emplace(name, std::move(view));
    }
  } catch (const Json::exception&) {
    broken(text("the header of ", member_name_, " is damaged"));
  }
}

const Tensors::View& Tensors::view(const std::string& name) const {
  const auto found = views_.find(name);
  if (found == views_.end()) broken(text(member_name_, ": tensor '", name, "' is missing"));
  return found->second;
}

const Tensors::View& Tensors::expect(const std::string& name, const char* dtype,
                                     const std::vector<std::size_t>& shape) const {
  const View& found = view(name);
  if (found.dtype != dtype || found.shape != shape)
    broken(text("tensor '", name, "': expected ", dtype, " ", shape_text(shape), ", got ", found.dtype, " ",
                shape_text(found.shape)));
  return found;
}

std::vector<float> Tensors::real32(const std::string& name, const std::vector<std::size_t>& shape) const {
  const Bytes data = expect(name, "F32", shape).data;
  std::vector<float> values(data.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), data.data(), data.size());
  return values;
}

std::vector<double> Tensors::real64(const std::string& name, const std::vector<std::size_t>& shape) const {
  const Bytes data = expect(name, "F64", shape).data;
  std::vector<double> values(data.size() / sizeof(double));
  if (!values.empty()) std::memcpy(values.data(), data.data(), data.size());
  return values;
}

}  // namespace emagram
