#pragma once

#include "lanes.hpp"
#include "law.hpp"

namespace emagram {

/// Closes laws that are linear in the outputs,
///   r_j = Σ_terms Σ_k c_k x_k, or Σ_k m_k c_k x_k with m_k = Δp_k / g,
/// by the change of some outputs y that minimises δyᵀ Σ⁻¹ δy, Σ = diag(σ²) + Uᵀ U:
///   y ← y − Σ Aᵀ (A Σ Aᵀ)⁻¹ r
/// twice, since the first leaves rounding. A column whose laws cannot be told apart keeps its values.
struct LinearLaw {
  static constexpr int most_laws = 8, most_factors = 32;
  /// Of A Σ Aᵀ scaled to a diagonal of ones: smaller ones are rounding.
  static constexpr double smallest_pivot = 1e-12;

  struct Term {
    Place place;
    int size;
    const double* coefficient;  // (size)
    bool per_mass;
  };
  /// The values of an output that may change.
  struct Part {
    int offset, size;        // in the row of outputs
    bool has_layers;         // or it has no mass
    const double* variance;  // σ² (size)
    const double* plain;     // c where it is not per mass, else 0 (size, n_law)
    const double* per_mass;  // c where it is (size, n_law)
    const double* factors;   // U (size, n_factor)
  };

  int n_law, n_factor, n_part;
  const Term* terms;       // of all laws
  int n_term[most_laws];   // of each
  const Part* parts;       // (n_part)
  int interface_pressure;  // offset in the row of inputs [Pa] (n_level + 1), where there are layers
  double per_gravity;      // 1 / g [m-1 s2]
};

namespace {

/// A Σ Aᵀ = L D Lᵀ of some columns.
struct LinearSystem {
  Lanes lower[LinearLaw::most_laws][LinearLaw::most_laws];
  Lanes pivot[LinearLaw::most_laws];
  Lanes diagonal[LinearLaw::most_laws];                         // of A Σ Aᵀ
  Lanes shared[LinearLaw::most_laws][LinearLaw::most_factors];  // A Uᵀ
  Mask is_solvable;
};

inline void measure(LinearLaw law, const Lanes* inputs, const Lanes* outputs, Lanes* residual) {
  const Lanes* p = inputs + law.interface_pressure;
  const LinearLaw::Term* term = law.terms;
  for (int j = 0; j < law.n_law; ++j) {
    residual[j] = Lanes{};
    for (int t = 0; t < law.n_term[j]; ++t, ++term) {
      const Lanes* values = (term->place.is_output ? outputs : inputs) + term->place.offset;
      const double *c = term->coefficient, per_gravity = law.per_gravity;
      Lanes sum[1];
      if (term->per_mass)
        sum_up(term->size, sum,
               [=](int k, Lanes* part) { part[0] += c[k] * per_gravity * (p[k + 1] - p[k]) * values[k]; });
      else
        sum_up(term->size, sum, [=](int k, Lanes* part) { part[0] += c[k] * values[k]; });
      residual[j] += sum[0];
    }
  }
}

/// Column k of A for a part.
inline void load_row(const LinearLaw& law, const LinearLaw::Part& part, int k, const Lanes* p, Lanes* row) {
  const double *plain = part.plain + k * law.n_law, *per_mass = part.per_mass + k * law.n_law;
  const Lanes mass = part.has_layers ? law.per_gravity * (p[k + 1] - p[k]) : Lanes{};
  for (int j = 0; j < law.n_law; ++j) row[j] = plain[j] + per_mass[j] * mass;
}

/// A Σ Aᵀ, in `lower`, until it is factored.
inline void load(const LinearLaw& law, const Lanes* inputs, LinearSystem& system) {
  const Lanes* p = inputs + law.interface_pressure;
  for (int j = 0; j < law.n_law; ++j) {
    for (int i = 0; i <= j; ++i) system.lower[j][i] = Lanes{};
    for (int f = 0; f < law.n_factor; ++f) system.shared[j][f] = Lanes{};
  }
  Lanes row[LinearLaw::most_laws];
  for (const LinearLaw::Part* part = law.parts; part != law.parts + law.n_part; ++part)
    for (int k = 0; k < part->size; ++k) {
      const double* factor = part->factors + k * law.n_factor;
      load_row(law, *part, k, p, row);
      for (int j = 0; j < law.n_law; ++j) {
        const Lanes spread = part->variance[k] * row[j];
        for (int i = 0; i <= j; ++i) system.lower[j][i] += spread * row[i];
        for (int f = 0; f < law.n_factor; ++f) system.shared[j][f] += factor[f] * row[j];
      }
    }
  for (int j = 0; j < law.n_law; ++j)
    for (int i = 0; i <= j; ++i)
      for (int f = 0; f < law.n_factor; ++f) system.lower[j][i] += system.shared[j][f] * system.shared[i][f];
}

inline void factorise(const LinearLaw& law, LinearSystem& system) {
  system.is_solvable = ~Mask{};
  for (int j = 0; j < law.n_law; ++j) {
    Lanes* row = system.lower[j];
    Lanes pivot = system.diagonal[j] = row[j];
    Lanes scaled[LinearLaw::most_laws];  // L_ji D_i
    for (int i = 0; i < j; ++i) {
      scaled[i] = row[i];
      for (int l = 0; l < i; ++l) scaled[i] -= scaled[l] * system.lower[i][l];
      row[i] = scaled[i] / system.pivot[i];
      pivot -= scaled[i] * row[i];
    }
    system.pivot[j] = pivot;
    system.is_solvable &= pivot > LinearLaw::smallest_pivot * system.diagonal[j];
  }
}

/// r ← (A Σ Aᵀ)⁻¹ r
inline void solve(const LinearLaw& law, const LinearSystem& system, Lanes* residual) {
  for (int j = 0; j < law.n_law; ++j)
    for (int i = 0; i < j; ++i) residual[j] -= system.lower[j][i] * residual[i];
  for (int j = law.n_law - 1; j >= 0; --j) {
    residual[j] /= system.pivot[j];
    for (int i = j + 1; i < law.n_law; ++i) residual[j] -= system.lower[i][j] * residual[i];
  }
}

/// y ← y − Σ Aᵀ λ
inline void change(const LinearLaw& law, const LinearSystem& system, const Lanes* multiplier, const Lanes* inputs,
                   Lanes* outputs) {
  const Lanes* p = inputs + law.interface_pressure;
  Lanes shared[LinearLaw::most_factors], row[LinearLaw::most_laws];
  for (int f = 0; f < law.n_factor; ++f) {
    shared[f] = Lanes{};
    for (int j = 0; j < law.n_law; ++j) shared[f] += system.shared[j][f] * multiplier[j];
  }
  for (const LinearLaw::Part* part = law.parts; part != law.parts + law.n_part; ++part)
    for (int k = 0; k < part->size; ++k) {
      const double* factor = part->factors + k * law.n_factor;
      load_row(law, *part, k, p, row);
      Lanes sum{};
      for (int j = 0; j < law.n_law; ++j) sum += multiplier[j] * row[j];
      Lanes step = part->variance[k] * sum;
      for (int f = 0; f < law.n_factor; ++f) step += factor[f] * shared[f];
      Lanes& value = outputs[part->offset + k];
      value = select(system.is_solvable, value - step, value);
    }
}

inline void apply(LinearLaw law, const Lanes* inputs, Lanes* outputs) {
  LinearSystem system;
  load(law, inputs, system);
  factorise(law, system);
  Lanes residual[LinearLaw::most_laws];
  for (int pass = 0; pass < 2; ++pass) {  // the second against rounding
    measure(law, inputs, outputs, residual);
    solve(law, system, residual);
    change(law, system, residual, inputs, outputs);
  }
}

}  // namespace
}  // namespace emagram
