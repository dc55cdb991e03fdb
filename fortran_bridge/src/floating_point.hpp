// Hosts run with floating-point trapping, flushing or unusual rounding. The library computes in the default
// environment, so that no trap fires and the bits do not depend on the host, and gives the host's back.
#pragma once

#include <cfenv>

namespace emagram {

class DefaultFloatingPoint {
 public:
  DefaultFloatingPoint() noexcept {
    std::fegetenv(&host_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatingPoint() { std::fesetenv(&host_); }
  DefaultFloatingPoint(const DefaultFloatingPoint&) = delete;
  DefaultFloatingPoint& operator=(const DefaultFloatingPoint&) = delete;

 private:
  std::fenv_t host_;
};

}  // namespace emagram
