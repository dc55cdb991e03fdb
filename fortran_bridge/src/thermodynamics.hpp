// Moist thermodynamics for the runtime's features.
//
// The twin of physics/thermodynamics.py, operation for operation; sources of the formulas stand there.
// Arguments are finite; temperatures and pressures are positive.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "emagram_constants.hpp"

namespace emagram {

namespace saturation {

inline constexpr double triple_point = 273.16;           // K
inline constexpr double freezing_point = 273.15;         // K
inline constexpr double all_ice = 253.16;                // K
inline constexpr double coldest_polynomial_ice = 185.0;  // K
inline constexpr double lowest_liquid = -80.0;           // K from the triple point
inline constexpr double lowest_ice = -100.0;             // K from the triple point

// hPa K-n, n = 0 ... 8
inline constexpr std::array<double, 9> liquid = {6.11239921,      0.443987641,      0.142986287e-1,
                                                 0.264847430e-3,  0.302950461e-5,   0.206739458e-7,
                                                 0.640689451e-10, -0.952447341e-13, -0.976195544e-15};
inline constexpr std::array<double, 9> ice = {6.11147274,     0.503160820,     0.188439774e-1,
                                              0.420895665e-3, 0.615021634e-5,  0.602588177e-7,
                                              0.385852041e-9, 0.146898966e-11, 0.252751365e-14};
// hPa K-n, n = 0 ... 2
inline constexpr std::array<double, 3> cold_ice = {0.00763685, 0.000151069, 7.48215e-07};

// Sum of coefficients[n] x^n, innermost bracket first.
template <std::size_t N>
constexpr double horner(const std::array<double, N>& coefficients, double x) {
  double total = coefficients[N - 1];
  for (std::size_t n = N - 1; n-- > 0;) total = coefficients[n] + x * total;
  return total;
}

}  // namespace saturation

// Ratio of the gas constants of dry air and water vapour [1], by default that of physics/constants.py.
inline constexpr double default_epsilon = constants::gas_constant_dry_air / constants::gas_constant_water_vapor;

// Saturation vapour pressure over liquid water [Pa]; air_temperature [K].
constexpr double saturation_vapor_pressure_liquid(double air_temperature) {
  using namespace saturation;
  return 100.0 * horner(liquid, std::max(air_temperature - triple_point, lowest_liquid));
}

// Saturation vapour pressure over ice, over liquid water above freezing [Pa]; air_temperature [K].
constexpr double saturation_vapor_pressure_ice(double air_temperature) {
  using namespace saturation;
  if (air_temperature > freezing_point) return saturation_vapor_pressure_liquid(air_temperature);
  if (air_temperature > coldest_polynomial_ice) return 100.0 * horner(ice, air_temperature - triple_point);
  return 100.0 * horner(cold_ice, std::max(air_temperature - triple_point, lowest_ice));
}

// Liquid share of cloud [1]; air_temperature [K]. Liquid above 273.16 K, ice below 253.16 K.
constexpr double liquid_fraction(double air_temperature) {
  using namespace saturation;
  return std::clamp((air_temperature - all_ice) / (triple_point - all_ice), 0.0, 1.0);
}

// Mixed-phase saturation vapour pressure [Pa]; air_temperature [K].
constexpr double saturation_vapor_pressure(double air_temperature) {
  const double share = liquid_fraction(air_temperature);
  return share * saturation_vapor_pressure_liquid(air_temperature) +
         (1.0 - share) * saturation_vapor_pressure_ice(air_temperature);
}

// Partial pressure of water vapour [Pa]; air_pressure [Pa], specific_humidity [kg kg-1], epsilon [1].
constexpr double vapor_pressure(double air_pressure, double specific_humidity, double epsilon = default_epsilon) {
  return air_pressure * specific_humidity / (epsilon + (1.0 - epsilon) * specific_humidity);
}

// Relative humidity [1]; air_pressure [Pa], air_temperature [K], specific_humidity [kg kg-1], epsilon [1].
constexpr double relative_humidity(double air_pressure, double air_temperature, double specific_humidity,
                                   double epsilon = default_epsilon) {
  return vapor_pressure(air_pressure, specific_humidity, epsilon) / saturation_vapor_pressure(air_temperature);
}

// Specific humidity at mixed-phase saturation [kg kg-1], 1 where the air cannot saturate; air_pressure [Pa],
// air_temperature [K], epsilon [1].
constexpr double saturation_specific_humidity(double air_pressure, double air_temperature,
                                              double epsilon = default_epsilon) {
  const double saturation = std::min(saturation_vapor_pressure(air_temperature), air_pressure);
  return epsilon * saturation / (air_pressure - (1.0 - epsilon) * saturation);
}

}  // namespace emagram
