#include "instruction_set.hpp"

#include <cstdlib>
#include <cstring>

#include "emagram.h"
#include "error.hpp"

namespace emagram {
namespace {

/// Nothing of a set is called before it is known to run here.
struct Candidate {
  const char* name;
  DenseKernel dense;
  LawSet (*laws)();
};

#if defined(__x86_64__)
const Candidate known[] = {{"avx512", dense_avx512, laws_avx512},
                           {"avx2", dense_avx2, laws_avx2},
                           {"baseline", dense_baseline, laws_baseline}};

bool runs_here(const Candidate& set) {
  __builtin_cpu_init();
  if (std::strcmp(set.name, "avx512") == 0) return __builtin_cpu_supports("avx512f");
  if (std::strcmp(set.name, "avx2") == 0) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return true;
}
#else
const Candidate known[] = {{"baseline", dense_baseline, laws_baseline}};

bool runs_here(const Candidate&) { return true; }
#endif

InstructionSet choose() {
  const char* forced = std::getenv("EMAGRAM_ISA");
  for (const auto& set : known)
    if ((forced == nullptr || std::strcmp(set.name, forced) == 0) && runs_here(set))
      return {set.name, set.dense, set.laws()};
  std::string names;
  for (const auto& set : known)
    if (runs_here(set)) names += (names.empty() ? "" : ", ") + std::string(set.name);
  fail(EMAGRAM_ERROR_ARGUMENT, "EMAGRAM_ISA: expected one of ", names, ", got '", forced, "'");
}

}  // namespace

const InstructionSet& instruction_set() {
  static const InstructionSet chosen = choose();
  return chosen;
}

}  // namespace emagram
