#pragma once

#include <cstddef>
#include <string>

namespace emagram {

/// SHA-256 of `size` bytes as 64 hexadecimal digits (FIPS 180-4).
std::string sha256(const void* bytes, std::size_t size);

}  // namespace emagram
