#define DENSE_NAME dense_avx2
#define DENSE_COLUMNS 3
#include "dense_kernel.inc"
