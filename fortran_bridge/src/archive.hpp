// The container of a model file: a zip archive of stored members, and safetensors.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace emagram {

using Json = nlohmann::json;
using Bytes = std::span<const std::byte>;

/// Members of a zip archive that lies in memory. Every offset is checked against the size of the file.
class Archive {
 public:
  /// Throws Error (format) if `file` is not a complete zip archive of stored members.
  explicit Archive(Bytes file);

  /// Throws Error (format) if the member is missing.
  Bytes member(const std::string& name) const;
  bool contains(const std::string& name) const { return members_.contains(name); }
  std::string_view comment() const { return comment_; }

 private:
  std::map<std::string, Bytes> members_;
  std::string_view comment_;
};

/// Tensors of one safetensors member, little-endian, F32 or F64.
class Tensors {
 public:
  struct View {
    std::string dtype;
    std::vector<std::size_t> shape;
    Bytes data;
  };

  Tensors(Bytes member, std::string member_name);

  /// The tensor as float or double (its dtype must match exactly) with `shape`; throws Error (format) if not.
  std::vector<float> real32(const std::string& name, const std::vector<std::size_t>& shape) const;
  std::vector<double> real64(const std::string& name, const std::vector<std::size_t>& shape) const;
  const View& view(const std::string& name) const;

 private:
  const View& expect(const std::string& name, const char* dtype, const std::vector<std::size_t>& shape) const;

  std::map<std::string, View> views_;
  std::string member_name_;
};

/// Parses a JSON object; throws Error (format) naming `what`.
Json parse_json(Bytes text, const std::string& what);

/// An integer from `least` to `most`. Conversions of the JSON library would truncate 1.9, wrap 2^32 + 1 and read true
/// as 1. Throws Error (format) naming `what`.
int integer(const Json& json, const std::string& what, int least, int most);

}  // namespace emagram
