// What the manifest says of one input or output.
#pragma once

#include <string>

#include "emagram.h"

namespace emagram {

/// One input or output of the model, and where its values lie in a column's row of inputs or outputs.
struct Field {
  std::string name;
  std::string unit;
  int direction = EMAGRAM_INPUT;
  int dimension = EMAGRAM_PER_COLUMN;
  int size = 1;
  int offset = 0;
  double valid_minimum = 0.0;
  double valid_maximum = 0.0;
  bool increasing = false;  // its order proves the level order
  int scale_by = -1;        // outputs: offset in the row of inputs, or -1
};

}  // namespace emagram
