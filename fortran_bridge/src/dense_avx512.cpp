#define DENSE_NAME dense_avx512
#define DENSE_COLUMNS 8
#include "dense_kernel.inc"
