// pybind11 face of the C interface: the same objects, NumPy arrays bound in place, the GIL released while stepping.
// Also hands out the formulas that exist in several languages, for the test that compares them.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>

#include "emagram.h"
#include "model.hpp"
#include "thermodynamics.hpp"
#include "units.hpp"

namespace py = pybind11;

namespace {

PyObject* error_type = nullptr;  // fortran_bridge.errors.BridgeError(code, text); owned for ever

void check(int code) {
  if (code == EMAGRAM_OK) return;
  const char* message = emagram_last_error();                    // may quote a damaged file
  if (error_type == nullptr) throw std::runtime_error(message);  // imported without the package's model.py
  const auto decoded = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(message, static_cast<py::ssize_t>(std::strlen(message)), "replace"));
  const auto error = py::reinterpret_borrow<py::object>(error_type)(code, decoded);
  PyErr_SetObject(error_type, error.ptr());
  throw py::error_already_set();
}

class Model {
 public:
  Model(const py::bytes& bytes, int policy, bool allow_other_dt, bool defer_constraints, double extrapolation_margin,
        bool measure_only) {
    emagram_options options{};
    options.struct_size = sizeof options;
    check(emagram_options_init(&options));
    options.policy = policy;
    options.allow_other_dt = allow_other_dt;
    options.defer_constraints = defer_constraints;
    options.extrapolation_margin = extrapolation_margin;
    options.measure_only = measure_only;
    const std::string_view view = bytes;
    int code;
    {
      const py::gil_scoped_release release;
      code = emagram_open_memory(view.data(), view.size(), &options, &handle_);
    }
    check(code);
  }
  ~Model() {
    if (handle_ != nullptr) emagram_close(&handle_);
  }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  emagram_model* handle() const { return handle_; }
  void close() { check(emagram_close(&handle_)); }

  py::dict describe() const {
    emagram_description d{};
    d.struct_size = sizeof d;
    check(emagram_describe(handle_, &d));
    py::dict out;
    out["name"] = d.name, out["sha256"] = d.sha256, out["manifest"] = d.manifest;
    out["n_level"] = d.n_level, out["n_budget"] = d.n_budget, out["time_step"] = d.time_step;
    py::list fields;
    for (std::int32_t i = 0; i < d.n_field; ++i) {
      emagram_field_description f{};
      f.struct_size = sizeof f;
      check(emagram_describe_field(handle_, i, &f));
      fields.append(py::make_tuple(f.name, f.unit, f.direction, f.dimension, f.size, f.valid_minimum, f.valid_maximum));
    }
    out["fields"] = fields;
    py::list budgets;
    for (std::int32_t i = 0; i < d.n_budget; ++i) {
      emagram_budget_description b{};
      b.struct_size = sizeof b;
      check(emagram_describe_budget(handle_, i, &b));
      budgets.append(py::make_tuple(b.name, b.unit, b.constraint, b.tolerance));
    }
    out["budgets"] = budgets;
    return out;
  }

 private:
  emagram_model* handle_ = nullptr;
};

class Columns {
 public:
  Columns(const Model& model, std::int64_t extent_1, std::int64_t extent_2,
          const std::optional<std::vector<std::int64_t>>& identity) {
    if (identity && static_cast<std::int64_t>(identity->size()) != extent_1 * extent_2)
      throw py::value_error("columns: identity does not have one number a column");
    check(emagram_columns_new(model.handle(), extent_1, extent_2, identity ? identity->data() : nullptr, &handle_));
  }
  ~Columns() {
    if (handle_ != nullptr) emagram_columns_free(&handle_);
  }
  Columns(const Columns&) = delete;
  Columns& operator=(const Columns&) = delete;

  void bind(const std::string& name, const py::array& array, const std::vector<std::int32_t>& roles,
            const std::optional<std::string>& unit, bool persistent, bool writes) {
    emagram_field field{};
    field.struct_size = sizeof field;
    field.device = EMAGRAM_CPU;
    field.dtype = py::isinstance<py::array_t<double>>(array)  ? EMAGRAM_REAL64
                  : py::isinstance<py::array_t<float>>(array) ? EMAGRAM_REAL32
                                                              : 0;
    field.flags = persistent ? EMAGRAM_PERSISTENT : 0;
    field.unit = unit ? unit->c_str() : nullptr;
    field.n_axis = static_cast<std::int32_t>(array.ndim());
    if (static_cast<std::size_t>(array.ndim()) != roles.size() || array.ndim() > EMAGRAM_MAX_AXES)
      throw py::value_error("field '" + name + "': expected one role for each of the " + std::to_string(array.ndim()) +
                            " axes, got " + std::to_string(roles.size()));
    if (writes && !array.writeable()) throw py::value_error("field '" + name + "': the output array is read-only");
    field.data = const_cast<void*>(array.data());
    for (py::ssize_t a = 0; a < array.ndim(); ++a)
      field.axis[a] = {roles[static_cast<std::size_t>(a)], 0, array.shape(a), array.strides(a)};
    check(emagram_bind(handle_, name.c_str(), &field));
    bound_[name.c_str()] = array;  // the array lives at least as long as its binding
  }

  void step(const Model& model, std::int64_t number, double dt, std::int64_t step, std::int64_t member) {
    int code;
    {
      const py::gil_scoped_release release;
      code = emagram_step(model.handle(), handle_, number, dt, step, member);
    }
    check(code);
  }
  void begin(const Model& model, std::int64_t number, double dt, std::int64_t step, std::int64_t member) {
    int code;
    {
      const py::gil_scoped_release release;
      code = emagram_begin(model.handle(), handle_, number, dt, step, member);
    }
    check(code);
  }
  void finish() {
    int code;
    {
      const py::gil_scoped_release release;
      code = emagram_finish(handle_);
    }
    check(code);
  }
  void constrain(const Model& model, std::int64_t number, double dt) {
    int code;
    {
      const py::gil_scoped_release release;
      code = emagram_constrain(model.handle(), handle_, number, dt);
    }
    check(code);
  }

  py::array_t<std::int32_t> status(std::int64_t number) const {
    py::array_t<std::int32_t> reason(std::max<std::int64_t>(number, 0));
    check(emagram_status(handle_, number, reason.mutable_data()));
    return reason;
  }
  py::tuple budget(std::int32_t index, std::int64_t number) const {
    const auto size = std::max<std::int64_t>(number, 0);
    py::array_t<double> before(size), after(size);
    check(emagram_budget(handle_, index, number, before.mutable_data(), after.mutable_data()));
    return py::make_tuple(before, after);
  }
  py::array_t<double> budget_at(std::int32_t index, std::int32_t stage, std::int64_t number) const {
    py::array_t<double> residual(std::max<std::int64_t>(number, 0));
    check(emagram_budget_at(handle_, index, stage, number, residual.mutable_data()));
    return residual;
  }
  py::array_t<std::int32_t> unmet(std::int32_t index, std::int64_t number) const {
    py::array_t<std::int32_t> unmet(std::max<std::int64_t>(number, 0));
    check(emagram_unmet(handle_, index, number, unmet.mutable_data()));
    return unmet;
  }
  py::dict timers() const {
    emagram_timing t{};
    t.struct_size = sizeof t;
    check(emagram_timers(handle_, &t));
    py::dict out;
    out["n_call"] = t.n_call, out["n_column"] = t.n_column, out["n_rejected"] = t.n_rejected;
    out["gather_s"] = t.gather_s, out["network_s"] = t.network_s;
    out["constraints_s"] = t.constraints_s, out["scatter_s"] = t.scatter_s;
    return out;
  }

 private:
  emagram_columns* handle_ = nullptr;
  py::dict bound_;
};

py::list units() {
  py::list out;
  for (const auto& unit : emagram::units())
    out.append(py::make_tuple(std::string(unit.name), std::string(unit.base), unit.factor, unit.offset));
  return out;
}

using Rows = py::array_t<double, py::array::c_style | py::array::forcecast>;

/// What the network of a model file sees before normalisation, (n_column, n_value), of rows of inputs. `stride` columns
/// lie side by side.
Rows features(const py::bytes& file, const Rows& inputs, py::ssize_t stride) {
  emagram_options options{};
  options.struct_size = sizeof options;
  check(emagram_options_init(&options));
  const std::string_view view = file;
  const emagram::Model model(std::as_bytes(std::span(view)), options);
  if (inputs.ndim() != 2 || inputs.shape(1) != model.n_input_value() || stride < 1)
    throw py::value_error("features: expected rows of " + std::to_string(model.n_input_value()) + " inputs");
  Rows values({inputs.shape(0), static_cast<py::ssize_t>(model.features().n_value())});
  std::vector<double> lanes(static_cast<std::size_t>(stride * inputs.shape(1)));
  for (py::ssize_t c = 0; c < inputs.shape(0); ++c) {
    for (py::ssize_t v = 0; v < inputs.shape(1); ++v) lanes[static_cast<std::size_t>(v * stride)] = inputs.at(c, v);
    model.features().evaluate(lanes.data(), stride, values.mutable_data(c, 0));
  }
  return values;
}

}  // namespace

PYBIND11_MODULE(_bridge, m) {
  m.doc() = "libemagram for Python; use emagram.open instead";
  m.def("set_error_type", [](py::object type) { error_type = type.release().ptr(); });
  m.def("abi_version", emagram_abi_version);
  m.def("units", units);
  m.def("saturation_vapor_pressure_liquid", py::vectorize(emagram::saturation_vapor_pressure_liquid));
  m.def("saturation_vapor_pressure_ice", py::vectorize(emagram::saturation_vapor_pressure_ice));
  m.def("saturation_vapor_pressure", py::vectorize(emagram::saturation_vapor_pressure));
  m.def("relative_humidity", py::vectorize([](double pressure, double temperature, double humidity) {
          return emagram::relative_humidity(pressure, temperature, humidity);
        }));
  m.def("saturation_specific_humidity", py::vectorize([](double pressure, double temperature) {
          return emagram::saturation_specific_humidity(pressure, temperature);
        }));
  m.def("features", features, py::arg("file"), py::arg("inputs"), py::arg("stride") = 1);
  py::class_<Model>(m, "Model")
      .def(py::init<const py::bytes&, int, bool, bool, double, bool>(), py::arg("bytes"), py::arg("policy"),
           py::arg("allow_other_dt"), py::arg("defer_constraints"), py::arg("extrapolation_margin") = 0.0,
           py::arg("measure_only") = false)
      .def("describe", &Model::describe)
      .def("close", &Model::close);
  py::class_<Columns>(m, "Columns")
      .def(py::init<const Model&, std::int64_t, std::int64_t, std::optional<std::vector<std::int64_t>>>())
      .def("bind", &Columns::bind)
      .def("step", &Columns::step)
      .def("begin", &Columns::begin)
      .def("finish", &Columns::finish)
      .def("constrain", &Columns::constrain)
      .def("status", &Columns::status)
      .def("budget", &Columns::budget)
      .def("budget_at", &Columns::budget_at)
      .def("unmet", &Columns::unmet)
      .def("timers", &Columns::timers);
}
