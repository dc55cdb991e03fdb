// The one exception of the library and how it becomes a return code.
#pragma once

#include <exception>
#include <locale>
#include <sstream>
#include <string>
#include <utility>

#include "emagram.h"

namespace emagram {

class Error : public std::exception {
 public:
  Error(int code, std::string text) : code_(code), text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }
  int code() const noexcept { return code_; }

 private:
  int code_;
  std::string text_;
};

/// Text of the parts one after the other, numbers in the C locale whatever the host has set.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(int code, const Parts&... parts) {
  throw Error(code, text(parts...));
}

/// Sends a message to the host's log callback, if one is set and wants this level.
void log(int level, const std::string& message) noexcept;

}  // namespace emagram
