#define LAWS_NAME laws_avx2
#include "laws.inc"
