#define LAWS_NAME laws_avx512
#include "laws.inc"
