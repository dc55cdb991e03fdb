#include "units.hpp"

#include "error.hpp"

namespace emagram {
namespace {

const Unit* find(std::string_view name) {
  for (const auto& unit : units())
    if (unit.name == name) return &unit;
  return nullptr;
}

}  // namespace

Conversion conversion(std::string_view host_unit, std::string_view model_unit, const std::string& field) {
  if (host_unit == model_unit) return {};
  const Unit* host = find(host_unit);
  const Unit* model = find(model_unit);
  if (host == nullptr) fail(EMAGRAM_ERROR_FIELD, "field '", field, "': unit '", host_unit, "' is not known");
  if (model == nullptr || host->base != model->base)
    fail(EMAGRAM_ERROR_FIELD, "field '", field, "': expected a unit like '", model_unit, "', got '", host_unit, "'");
  return {host->factor / model->factor, (host->offset - model->offset) / model->factor};
}

}  // namespace emagram
