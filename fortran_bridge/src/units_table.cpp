#include "units.hpp"

namespace emagram {
namespace {

constexpr double seconds_per_day = 86400.0;

}  // namespace

const std::vector<Unit>& units() {
  static const std::vector<Unit> table = {
      {"K", "K", 1.0, 0.0},
      {"degC", "K", 1.0, 273.15},
      {"Pa", "Pa", 1.0, 0.0},
      {"hPa", "Pa", 100.0, 0.0},
      {"kg kg-1", "kg kg-1", 1.0, 0.0},
      {"kg/kg", "kg kg-1", 1.0, 0.0},
      {"g kg-1", "kg kg-1", 1.0e-3, 0.0},
      {"g/kg", "kg kg-1", 1.0e-3, 0.0},
      {"mg kg-1", "kg kg-1", 1.0e-6, 0.0},
      {"mg/kg", "kg kg-1", 1.0e-6, 0.0},
      {"1", "1", 1.0, 0.0},
      {"mol mol-1", "1", 1.0, 0.0},
      {"%", "1", 1.0e-2, 0.0},
      {"1e-6", "1", 1.0e-6, 0.0},
      {"1.e-6", "1", 1.0e-6, 0.0},
      {"ppmv", "1", 1.0e-6, 0.0},
      {"1e-9", "1", 1.0e-9, 0.0},
      {"1.e-9", "1", 1.0e-9, 0.0},
      {"ppbv", "1", 1.0e-9, 0.0},
      {"1e-12", "1", 1.0e-12, 0.0},
      {"1.e-12", "1", 1.0e-12, 0.0},
      {"pptv", "1", 1.0e-12, 0.0},
      {"K s-1", "K s-1", 1.0, 0.0},
      {"K day-1", "K s-1", 1.0 / seconds_per_day, 0.0},
      {"kg kg-1 s-1", "kg kg-1 s-1", 1.0, 0.0},
      {"m s-2", "m s-2", 1.0, 0.0},
      {"W m-2", "W m-2", 1.0, 0.0},
      {"kg m-2 s-1", "kg m-2 s-1", 1.0, 0.0},
      {"mm day-1", "kg m-2 s-1", 1.0 / seconds_per_day, 0.0},
      {"N m-2", "N m-2", 1.0, 0.0},
      {"m s-1", "m s-1", 1.0, 0.0},
      {"m", "m", 1.0, 0.0},
  };
  return table;
}

}  // namespace emagram
