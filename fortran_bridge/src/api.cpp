// The C interface: validates handles, turns exceptions into codes, keeps the host's floating-point environment.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <stdexcept>
#include <unordered_map>

#include "columns.hpp"
#include "emagram.h"
#include "error.hpp"
#include "floating_point.hpp"
#include "model.hpp"

namespace emagram {
namespace {

// A fixed buffer: reporting that memory ran out must not need memory.
thread_local char last_error[1024] = "";

void remember(const char* message) noexcept { std::snprintf(last_error, sizeof last_error, "%s", message); }

/// Runs `body`; success is assigned last.
template <class Body>
int guarded(Body&& body) noexcept {
  const DefaultFloatingPoint environment;
  int code = EMAGRAM_ERROR_INTERNAL;
  try {
    body();
    last_error[0] = '\0';
    code = EMAGRAM_OK;
  } catch (const Error& error) {
    code = error.code();
    remember(error.what());
  } catch (const std::bad_alloc&) {
    code = EMAGRAM_ERROR_MEMORY;
    remember("out of memory");
  } catch (const std::length_error&) {
    code = EMAGRAM_ERROR_MEMORY;
    remember("out of memory: a size beyond all memory was asked for");
  } catch (const std::exception& error) {
    remember(error.what());
  } catch (...) {
    remember("an unknown fault inside the library");
  }
  return code;
}

/// The handles that are alive. A handle is looked up before it is followed, so that one that was closed, or never
/// was, gives an error and not a crash, as long as its address has not been given to a later object.
template <class Object>
class Registry {
 public:
  explicit Registry(const char* kind) : kind_(kind) {}

  void* add(std::shared_ptr<Object> object) {
    void* handle = const_cast<void*>(static_cast<const void*>(object.get()));
    const std::unique_lock lock(mutex_);
    alive_.emplace(handle, std::move(object));
    return handle;
  }

  std::shared_ptr<Object> find(const void* handle) const {
    if (handle == nullptr) fail(EMAGRAM_ERROR_ARGUMENT, kind_, ": the handle is null");
    const std::shared_lock lock(mutex_);
    const auto found = alive_.find(handle);
    if (found == alive_.end()) fail(EMAGRAM_ERROR_ARGUMENT, kind_, ": the handle is not alive (closed already?)");
    return found->second;
  }

  void remove(const void* handle) {
    const auto object = find(handle);  // destroyed after the lock is given back
    const std::unique_lock lock(mutex_);
    if (alive_.erase(handle) == 0) fail(EMAGRAM_ERROR_ARGUMENT, kind_, ": the handle is not alive (closed already?)");
  }

 private:
  const char* kind_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<const void*, std::shared_ptr<Object>> alive_;
};

// Never destroyed: a host may call from its own exit handlers.
Registry<const Model>& models() {
  static auto& registry = *new Registry<const Model>("model");
  return registry;
}

Registry<Columns>& all_columns() {
  static auto& registry = *new Registry<Columns>("columns");
  return registry;
}

struct LogSink {
  emagram_log_callback callback = nullptr;
  int level = EMAGRAM_LOG_WARNING;
  void* user = nullptr;
};
std::mutex log_mutex;
LogSink log_sink;

template <class Pointer>
void require(Pointer pointer, const char* what) {
  if (pointer == nullptr) fail(EMAGRAM_ERROR_ARGUMENT, what, " is null");
}

/// Copies what both sides know of a structure that may grow.
template <class Struct>
void deliver(const Struct& filled, Struct* out, const char* what) {
  require(out, what);
  const std::size_t size = out->struct_size;
  if (size < sizeof(std::size_t) || size > (1u << 16)) fail(EMAGRAM_ERROR_ARGUMENT, what, ": struct_size is not set");
  std::memcpy(out, &filled, std::min(size, sizeof filled));
  out->struct_size = size;
}

emagram_options defaults() { return {sizeof(emagram_options), EMAGRAM_POLICY_ERROR, 0, 0, 0, 0.0, 0, 0}; }

emagram_options chosen(const emagram_options* given) {
  emagram_options options = defaults();
  if (given == nullptr) return options;
  if (given->struct_size < sizeof(std::size_t)) fail(EMAGRAM_ERROR_ARGUMENT, "options: struct_size is not set");
  std::memcpy(&options, given, std::min(given->struct_size, sizeof options));
  if (options.policy < EMAGRAM_POLICY_ERROR || options.policy > EMAGRAM_POLICY_CLIP)
    fail(EMAGRAM_ERROR_ARGUMENT, "options: expected policy error, mask or clip, got code ", options.policy);
  if (!(options.extrapolation_margin >= 0.0))
    fail(EMAGRAM_ERROR_ARGUMENT, "options: expected an extrapolation_margin of 0 or more, got ",
         options.extrapolation_margin);
  return options;
}

std::vector<std::byte> read_file(const char* path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);  // an error for folders and devices too
  std::ifstream file(path, std::ios::binary);
  if (!error && !file) error = std::make_error_code(std::errc::permission_denied);
  if (error) fail(EMAGRAM_ERROR_FILE, "model file '", path, "' cannot be read: ", error.message());
  std::vector<std::byte> bytes(size);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size)))
    fail(EMAGRAM_ERROR_FILE, "model file '", path, "' cannot be read to its end");
  return bytes;
}

emagram_model* open_bytes(Bytes bytes, const emagram_options* options) {
  auto model = std::make_shared<const Model>(bytes, chosen(options));
  log(EMAGRAM_LOG_INFO, text("opened model '", model->name(), "', sha256 ", model->sha256()));
  return static_cast<emagram_model*>(models().add(std::move(model)));
}

/// The columns object of a call, which must have been made from this model.
std::shared_ptr<Columns> columns_of(const emagram_model* model, emagram_columns* columns) {
  auto found = all_columns().find(columns);
  if (models().find(model).get() != &found->model())
    fail(EMAGRAM_ERROR_ARGUMENT, "columns: made from another model than the one that steps");
  return found;
}

}  // namespace

void log(int level, const std::string& message) noexcept {
  LogSink sink;
  {
    const std::lock_guard lock(log_mutex);
    sink = log_sink;
  }
  if (sink.callback != nullptr && level <= sink.level) sink.callback(level, message.c_str(), sink.user);
}

}  // namespace emagram

using namespace emagram;

extern "C" {

int emagram_abi_version(void) { return EMAGRAM_ABI_VERSION; }

const char* emagram_last_error(void) { return last_error; }

int emagram_options_init(emagram_options* options) {
  return guarded([&] { deliver(defaults(), options, "options"); });
}

int emagram_open(const char* path, const emagram_options* options, emagram_model** model) {
  return guarded([&] {
    require(path, "path");
    require(model, "model");
    *model = nullptr;
    const auto bytes = read_file(path);
    try {
      *model = open_bytes(bytes, options);
    } catch (const Error& error) {
      fail(error.code(), "'", path, "': ", error.what());
    }
  });
}

int emagram_open_memory(const void* bytes, size_t size, const emagram_options* options, emagram_model** model) {
  return guarded([&] {
    require(bytes, "bytes");
    require(model, "model");
    *model = nullptr;
    *model = open_bytes({static_cast<const std::byte*>(bytes), size}, options);
  });
}

int emagram_close(emagram_model** model) {
  return guarded([&] {
    require(model, "model");
    models().remove(*model);
    *model = nullptr;
  });
}

int emagram_describe(const emagram_model* model, emagram_description* description) {
  return guarded([&] {
    const auto found = models().find(model);
    emagram_description filled{};
    filled.n_field = static_cast<std::int32_t>(found->fields().size());
    filled.n_input = found->n_input();
    filled.n_output = found->n_output();
    filled.n_level = found->n_level();
    filled.n_neighbour = 1;
    filled.n_budget = static_cast<std::int32_t>(found->constraints().budgets().size());
    filled.time_step = found->time_step();
    filled.name = found->name().c_str();
    filled.sha256 = found->sha256().c_str();
    filled.manifest = found->manifest().c_str();
    deliver(filled, description, "description");
  });
}

int emagram_describe_field(const emagram_model* model, int32_t index, emagram_field_description* description) {
  return guarded([&] {
    const auto found = models().find(model);
    const auto n_field = static_cast<std::int32_t>(found->fields().size());
    if (index < 0 || index >= n_field)
      fail(EMAGRAM_ERROR_ARGUMENT, "describe: the model has ", n_field, " fields, asked for number ", index);
    const Field& field = found->fields()[static_cast<std::size_t>(index)];
    emagram_field_description filled{};
    filled.name = field.name.c_str();
    filled.unit = field.unit.c_str();
    filled.direction = field.direction;
    filled.dimension = field.dimension;
    filled.size = field.size;
    filled.valid_minimum = field.valid_minimum;
    filled.valid_maximum = field.valid_maximum;
    deliver(filled, description, "description");
  });
}

int emagram_describe_budget(const emagram_model* model, int32_t index, emagram_budget_description* description) {
  return guarded([&] {
    const auto found = models().find(model);
    const auto& budgets = found->constraints().budgets();
    if (index < 0 || index >= static_cast<std::int32_t>(budgets.size()))
      fail(EMAGRAM_ERROR_ARGUMENT, "describe: the model has ", budgets.size(), " budgets, asked for number ", index);
    const Budget& budget = budgets[static_cast<std::size_t>(index)];
    emagram_budget_description filled{};
    filled.name = budget.name.c_str();
    filled.unit = budget.unit.c_str();
    filled.constraint = budget.constraint.c_str();
    filled.tolerance = budget.tolerance;
    deliver(filled, description, "description");
  });
}

int emagram_columns_new(const emagram_model* model, int64_t extent_1, int64_t extent_2, const int64_t* identity,
                        emagram_columns** columns) {
  return guarded([&] {
    require(columns, "columns");
    *columns = nullptr;
    auto made = std::make_shared<Columns>(models().find(model), extent_1, extent_2, identity);
    *columns = static_cast<emagram_columns*>(all_columns().add(std::move(made)));
  });
}

int emagram_columns_free(emagram_columns** columns) {
  return guarded([&] {
    require(columns, "columns");
    all_columns().remove(*columns);
    *columns = nullptr;
  });
}

int emagram_bind(emagram_columns* columns, const char* name, const emagram_field* field) {
  return guarded([&] {
    require(name, "name");
    require(field, "field");
    if (field->struct_size != sizeof(emagram_field))
      fail(EMAGRAM_ERROR_ARGUMENT, "field '", name, "': expected struct_size ", sizeof(emagram_field), ", got ",
           field->struct_size);
    all_columns().find(columns)->bind(name, *field);
  });
}

int emagram_step(const emagram_model* model, emagram_columns* columns, int64_t number, double dt, int64_t step,
                 int64_t member) {
  return guarded([&] {
    static_cast<void>(member);  // random numbers come with stochastic models
    const auto found = columns_of(model, columns);
    found->begin(number, dt, step);
    found->finish();
  });
}

int emagram_begin(const emagram_model* model, emagram_columns* columns, int64_t number, double dt, int64_t step,
                  int64_t member) {
  return guarded([&] {
    static_cast<void>(member);
    const auto found = columns_of(model, columns);
    found->begin(number, dt, step);
  });
}

int emagram_finish(emagram_columns* columns) {
  return guarded([&] {
    const auto found = all_columns().find(columns);
    found->finish();
  });
}

int emagram_status(const emagram_columns* columns, int64_t number, int32_t* reason) {
  return guarded([&] {
    const auto found = all_columns().find(columns);
    if (number > 0) require(reason, "reason");
    found->status(number, reason);
  });
}

int emagram_constrain(const emagram_model* model, emagram_columns* columns, int64_t number, double dt) {
  return guarded([&] {
    const auto found = columns_of(model, columns);
    found->constrain(number, dt);
  });
}

int emagram_budget(const emagram_columns* columns, int32_t index, int64_t number, double* before, double* after) {
  return guarded([&] {
    const auto found = all_columns().find(columns);
    if (before != nullptr) found->budget(index, EMAGRAM_STAGE_PREDICTED, number, before);
    if (after != nullptr) found->budget(index, EMAGRAM_STAGE_RETURNED, number, after);
    if (before == nullptr && after == nullptr) found->check_budget(index, number);
  });
}

int emagram_budget_at(const emagram_columns* columns, int32_t index, int32_t stage, int64_t number, double* residual) {
  return guarded([&] {
    require(residual, "residual");
    all_columns().find(columns)->budget(index, stage, number, residual);
  });
}

int emagram_unmet(const emagram_columns* columns, int32_t index, int64_t number, int32_t* unmet) {
  return guarded([&] {
    require(unmet, "unmet");
    all_columns().find(columns)->unmet(index, number, unmet);
  });
}

int emagram_timers(const emagram_columns* columns, emagram_timing* timing) {
  return guarded([&] { deliver(all_columns().find(columns)->timing(), timing, "timing"); });
}

int emagram_set_log(emagram_log_callback callback, int level, void* user) {
  return guarded([&] {
    const std::lock_guard lock(log_mutex);
    log_sink = {callback, level, user};
  });
}

int emagram_set_parallel_for(emagram_parallel_for parallel_for, void* user) {
  return guarded([&] {
    static_cast<void>(parallel_for);
    static_cast<void>(user);
    fail(EMAGRAM_ERROR_UNSUPPORTED, "set_parallel_for: threads within a call are not supported yet");
  });
}

}  // extern "C"
