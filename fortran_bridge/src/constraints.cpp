#include "constraints.hpp"

namespace emagram {

double ColumnEnergy::residual(const double* inputs, const double* outputs) const {
  const double* pressure = inputs + interface_pressure;
  const double* rate = outputs + heating;
  double sum = 0.0;
  for (int k = 0; k < n_level; ++k) sum += rate[k] * (pressure[k + 1] - pressure[k]);
  double net = 0.0;
  for (const auto& flux : fluxes) net += flux.sign * (flux.is_output ? outputs : inputs)[flux.offset];
  return heat_capacity / gravity * sum - net;
}

void ColumnEnergy::apply(const double* inputs, double* outputs) const {
  const double* pressure = inputs + interface_pressure;
  double mass = 0.0;
  for (int k = 0; k < n_level; ++k) mass += pressure[k + 1] - pressure[k];
  const double change = residual(inputs, outputs) / (heat_capacity / gravity * mass);
  for (int k = 0; k < n_level; ++k) outputs[heating + k] -= change;
}

}  // namespace emagram
