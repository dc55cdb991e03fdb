#include "emagram_sum.h"

#include <string.h>

static const int64_t digit_mask = 0xffffffff;
static const int64_t most_pending = (int64_t)1 << 29; /* each adds less than 2^33 to a digit */

static int64_t floor_carry(int64_t digit) { return (digit - (digit & digit_mask)) / ((int64_t)1 << 32); }

void emagram_sum_carry(int64_t* sum) {
  for (int i = 0; i + 1 < EMAGRAM_SUM_DIGITS; ++i) {
    sum[i + 1] += floor_carry(sum[i]);
    sum[i] &= digit_mask;
  }
  sum[EMAGRAM_SUM_PENDING] = 1;
}

static void add_one(int64_t* sum, double value) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof bits);
  const int exponent = (int)(bits >> 52 & 0x7ff);
  if (exponent == 0x7ff) {
    ++sum[EMAGRAM_SUM_NOT_FINITE];
    return;
  }
  uint64_t mantissa = bits & (((uint64_t)1 << 52) - 1);
  if (exponent > 0) mantissa |= (uint64_t)1 << 52;
  const int place = exponent > 0 ? exponent - 1 : 0; /* of the lowest bit, in units of 2^-1074 */
  const int first = place / 32, shift = place % 32;
  const uint64_t low = (mantissa & 0xffffffffU) << shift, high = (mantissa >> 32) << shift;
  const int64_t sign = bits >> 63 ? -1 : 1;
  sum[first] += sign * (int64_t)(low & 0xffffffffU);
  sum[first + 1] += sign * (int64_t)((low >> 32) + (high & 0xffffffffU));
  sum[first + 2] += sign * (int64_t)(high >> 32);
}

void emagram_sum_add(int64_t* sum, const double* values, int64_t number) {
  for (int64_t i = 0; i < number; ++i) {
    if (sum[EMAGRAM_SUM_PENDING] >= most_pending) emagram_sum_carry(sum);
    add_one(sum, values[i]);
    ++sum[EMAGRAM_SUM_PENDING];
  }
}

static int bit_at(const int64_t* digits, int place) { return (int)(digits[place / 32] >> place % 32 & 1); }

/* The place of the highest bit that is set, -1 if none is. */
static int highest_bit(const int64_t* digits) {
  for (int place = 32 * EMAGRAM_SUM_DIGITS - 1; place >= 0; --place)
    if (bit_at(digits, place)) return place;
  return -1;
}

/* The 53 bits from the highest on, rounded to nearest even by those below. */
static int64_t rounded(const int64_t* digits, int lowest) {
  int64_t mantissa = 0;
  for (int place = lowest + 52; place >= lowest; --place) mantissa = 2 * mantissa + bit_at(digits, place);
  if (lowest == 0 || !bit_at(digits, lowest - 1)) return mantissa;
  int beyond = (int)(mantissa & 1);
  for (int place = lowest - 2; place >= 0 && !beyond; --place) beyond = bit_at(digits, place);
  return mantissa + beyond;
}

int emagram_sum_read(const int64_t* sum, double* total) {
  int64_t digits[EMAGRAM_SUM_SIZE];
  memcpy(digits, sum, sizeof digits);
  *total = 0.0;
  if (digits[EMAGRAM_SUM_NOT_FINITE] != 0) return EMAGRAM_SUM_HAS_NOT_FINITE;
  emagram_sum_carry(digits);
  const int is_negative = digits[EMAGRAM_SUM_DIGITS - 1] < 0;
  if (is_negative) {
    for (int i = 0; i < EMAGRAM_SUM_DIGITS; ++i) digits[i] = -digits[i];
    emagram_sum_carry(digits);
  }
  const int highest = highest_bit(digits), lowest = highest > 52 ? highest - 52 : 0;
  if (highest < 0) return EMAGRAM_SUM_OK;
  /* the mantissa's own highest bit is the last of the exponent, unless the total is subnormal */
  const uint64_t bits = ((uint64_t)lowest << 52) + (uint64_t)rounded(digits, lowest);
  if (bits >= (uint64_t)0x7ff << 52 || lowest > 2046) return EMAGRAM_SUM_TOO_LARGE;
  const uint64_t signed_bits = bits | (uint64_t)is_negative << 63;
  memcpy(total, &signed_bits, sizeof signed_bits);
  return EMAGRAM_SUM_OK;
}
