// Reading one entry of the manifest's constraints. Whatever is wrong with it is one sentence that names it.
#pragma once

#include <string>
#include <vector>

#include "constraints.hpp"
#include "error.hpp"

namespace emagram {

class ConstraintEntry {
 public:
  /// The values of a field in a row.
  struct Values {
    int offset = 0;
    int size = 1;
  };

  /// A field of any kind; `dimension` is EMAGRAM_PER_*.
  struct Named {
    Place place;
    int size;
    int dimension;
  };

  /// Throws Error (format) if the entry has no name.
  ConstraintEntry(const Json& entry, const ManifestParts& manifest);

  const std::string& name() const { return name_; }
  int n_level() const { return manifest_.n_level; }
  /// [s]; the manifest must have one.
  double time_step() const;
  /// One of the manifest's constants.
  double constant(const char* key) const;

  const Json& at(const char* key) const { return at(entry_, key); }
  const Json& at(const Json& object, const char* key) const;
  const Json& list(const char* key) const;
  /// Whether the key is there, and not null.
  bool has(const char* key) const;
  const std::string& text(const char* key) const;

  /// Of any sign, and finite; `key` names it in messages.
  double number(const Json& value, const char* key) const;
  /// Positive, and of a magnitude that arithmetic survives.
  double positive(const char* key) const;
  /// The key "top_pressure" [Pa] of an entry that may lack it: 0, so that no layer is upper.
  double optional_top_pressure() const;
  /// A layer counted from 0 at the top; the lowest where the entry lacks the key.
  int optional_level(const char* key) const;
  /// 1 or -1.
  double sign(const Json& term) const;

  /// Fields by name. `dimension` is EMAGRAM_PER_*; the unit must be the one given.
  int input(const Json& name, int dimension, const char* unit) const;
  int output(const Json& name, int dimension, const char* unit) const;
  Values output(const Json& name) const;
  Named field(const Json& name) const;
  Place either(const Json& name, int dimension, const char* unit) const;
  /// Several of them, none twice.
  std::vector<int> outputs(const char* key, int dimension, const char* unit) const;
  /// The two fields of `{"state": …, "rate": …}`.
  Prognostic prognostic(const Json& pair, const char* state_unit, const char* rate_unit) const;
  /// The key "interface_pressure" [Pa], which must be monotonic, or a layer could have no mass.
  int interface_pressure() const;
  /// A flux and its sign.
  FluxTerm flux(const Json& term) const;

  /// Throws Error (format): the entry's name, then the parts.
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(EMAGRAM_ERROR_FORMAT, "constraint '", name_, "': ", parts...);
  }
  /// Refuses a list of places that is empty or names one twice.
  void check_distinct(const char* what, std::vector<int> offsets) const;

 private:
  const Field* find(const std::string& name) const;
  const Field& expect(const Json& name, int directions, int dimension, const char* unit) const;

  const Json& entry_;
  const ManifestParts& manifest_;
  std::string name_;
};

}  // namespace emagram
