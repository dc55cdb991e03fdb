// Which of the kernels that are compiled several times this processor runs.
#pragma once

#include "dense_kernel.hpp"
#include "law.hpp"

namespace emagram {

struct InstructionSet {
  const char* name;
  DenseKernel dense;
  LawSet laws;
};

/// The best one of this processor, or the one that EMAGRAM_ISA names (avx512, avx2, baseline). Decided once.
const InstructionSet& instruction_set();

}  // namespace emagram
