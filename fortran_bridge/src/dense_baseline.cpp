#define DENSE_NAME dense_baseline
#define DENSE_COLUMNS 2
#include "dense_kernel.inc"
