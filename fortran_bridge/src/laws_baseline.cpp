#define LAWS_NAME laws_baseline
#include "laws.inc"
