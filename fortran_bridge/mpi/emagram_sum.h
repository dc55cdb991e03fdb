/* emagram_sum.h: the correctly rounded sum of doubles, the same bits in any order and for any split over ranks.
 *
 * A sum is EMAGRAM_SUM_SIZE integers of the caller, zero at first. Digits of 32 bits, the lowest worth 2^-1074, hold
 * every finite double exactly; integers add without rounding, so no order counts, and sums of parts add integer by
 * integer. There is one rounding, to nearest even, when the sum is read. No MPI, no floating-point operation and no
 * exception flag. Twin of physics/exact_sum.py.
 *
 * Source: Kulisch 2013, Computer Arithmetic and Validity, doi:10.1515/9783110301793, chapter 8.
 */
#ifndef EMAGRAM_SUM_H
#define EMAGRAM_SUM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Digits; how many values were not finite; how many were added since carries were passed on. */
enum { EMAGRAM_SUM_DIGITS = 68, EMAGRAM_SUM_NOT_FINITE = 68, EMAGRAM_SUM_PENDING = 69, EMAGRAM_SUM_SIZE = 70 };

enum { EMAGRAM_SUM_OK = 0, EMAGRAM_SUM_HAS_NOT_FINITE = 1, EMAGRAM_SUM_TOO_LARGE = 2 };

/* Add number values; those that are not finite are counted instead. */
void emagram_sum_add(int64_t* sum, const double* values, int64_t number);

/* Pass carries on, after which as many as 2^29 sums can be added integer by integer. */
void emagram_sum_carry(int64_t* sum);

/* The sum rounded to the nearest double, +0 if it is zero, into *total, which is 0 after any code but EMAGRAM_SUM_OK.
 */
int emagram_sum_read(const int64_t* sum, double* total);

#ifdef __cplusplus
}
#endif
#endif
