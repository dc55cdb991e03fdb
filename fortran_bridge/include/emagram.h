/* emagram.h: call a column emulator from a climate model.
 *
 * Three things, no hidden state:
 *   emagram_model    opened once, immutable, shared by every thread;
 *   emagram_columns  one call's view of the host's arrays, one per thread or chunk;
 *   memory           of a stateful model: ordinary in-out fields that the host owns.
 *
 * Every function returns an int: EMAGRAM_OK (0), assigned last, or the code of the first error, whose text
 * emagram_last_error() gives for the calling thread. None throws, exits, prints, or changes the caller's
 * floating-point environment. Of the process, not of a model, are the log callback, the parallel_for, and
 * the environment variable EMAGRAM_ISA (avx512, avx2 or baseline), which forces an instruction set.
 *
 * Level 0 is the model top. Outputs are rates per second and fluxes.
 */
#ifndef EMAGRAM_H
#define EMAGRAM_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define EMAGRAM_API __attribute__((visibility("default")))
#else
#define EMAGRAM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface. It grows by new functions and by longer structures (struct_size). */
#define EMAGRAM_ABI_VERSION 1

/* What a function returns. */
enum {
  EMAGRAM_OK = 0,
  EMAGRAM_ERROR_ARGUMENT = 1,      /* null, unknown name, value outside its set, handle not alive */
  EMAGRAM_ERROR_FILE = 2,          /* the file cannot be read */
  EMAGRAM_ERROR_FORMAT = 3,        /* not a model file, truncated, or its contents contradict each other */
  EMAGRAM_ERROR_VERSION = 4,       /* a newer format than this library reads */
  EMAGRAM_ERROR_CHECKSUM = 5,      /* a member differs from its SHA-256 */
  EMAGRAM_ERROR_SELFTEST = 6,      /* the stored inputs do not give the stored outputs here */
  EMAGRAM_ERROR_FIELD = 7,         /* shape, stride, dtype, role, device or unit of a field */
  EMAGRAM_ERROR_MISSING_FIELD = 8, /* a field of the model was not bound before the step */
  EMAGRAM_ERROR_TIME_STEP = 9,     /* dt differs from the model's */
  EMAGRAM_ERROR_REJECTED = 10,     /* policy `error` met an invalid column; no output was written */
  EMAGRAM_ERROR_UNSUPPORTED = 11,  /* declared here, not available in this version */
  EMAGRAM_ERROR_MEMORY = 12,       /* an allocation failed */
  EMAGRAM_ERROR_INTERNAL = 13      /* a fault of this library */
};

/* What befell a column in the last step. Values from EMAGRAM_COLUMN_REJECTED on mean: no output written. */
enum {
  EMAGRAM_COLUMN_OK = 0,
  EMAGRAM_COLUMN_EXTRAPOLATED = 1, /* computed; an input lies outside the training range and its margin */
  EMAGRAM_COLUMN_CLIPPED = 2,      /* computed; inputs were clipped to the training range (policy `clip`) */
  EMAGRAM_COLUMN_REJECTED = 16,
  EMAGRAM_COLUMN_NON_FINITE_INPUT = 16,
  EMAGRAM_COLUMN_INVALID_INPUT = 17, /* outside the physically valid range: fill value or wrong unit */
  EMAGRAM_COLUMN_LEVEL_ORDER = 18,   /* pressure does not increase with the level index */
  EMAGRAM_COLUMN_NON_FINITE_OUTPUT = 19
};

/* The policy for invalid columns. */
enum {
  EMAGRAM_POLICY_ERROR = 0, /* the step fails and writes nothing */
  EMAGRAM_POLICY_MASK = 1,  /* the host's arrays keep their values in rejected columns */
  EMAGRAM_POLICY_CLIP = 2   /* as mask, and inputs are clipped to the training range first */
};

enum { EMAGRAM_REAL32 = 1, EMAGRAM_REAL64 = 2 };
enum { EMAGRAM_CPU = 0, EMAGRAM_CUDA = 1 };
enum { EMAGRAM_LOG_ERROR = 0, EMAGRAM_LOG_WARNING = 1, EMAGRAM_LOG_INFO = 2, EMAGRAM_LOG_DEBUG = 3 };

/* What an axis of a host array counts. */
enum {
  EMAGRAM_AXIS_COLUMN_1 = 1, /* columns; the fastest index of the column numbering */
  EMAGRAM_AXIS_COLUMN_2 = 2, /* columns of an (i, j) array; the slower index */
  EMAGRAM_AXIS_LEVEL = 3,    /* layers or interfaces, downwards from the model top */
  EMAGRAM_AXIS_NEIGHBOUR = 4 /* the nine columns of a 3x3 stencil */
};

/* What dimension a field of the model has beside the columns. */
enum { EMAGRAM_PER_COLUMN = 0, EMAGRAM_PER_LAYER = 1, EMAGRAM_PER_INTERFACE = 2 };
enum { EMAGRAM_INPUT = 1, EMAGRAM_OUTPUT = 2, EMAGRAM_INOUT = 3 };

/* When the residual of a column budget is measured. */
enum {
  EMAGRAM_STAGE_PREDICTED = 0, /* as the network returned, or the host put it: before the first constraint */
  EMAGRAM_STAGE_BEFORE = 1,    /* just before the constraint that closes this budget */
  EMAGRAM_STAGE_AFTER = 2,     /* just after it */
  EMAGRAM_STAGE_RETURNED = 3   /* after the last constraint, in the types of the host's arrays */
};

#define EMAGRAM_MAX_AXES 4
#define EMAGRAM_PERSISTENT 1u /* flags: the array outlives every later step */

typedef struct emagram_model emagram_model;
typedef struct emagram_columns emagram_columns;

typedef struct emagram_axis {
  int32_t role; /* EMAGRAM_AXIS_* */
  int32_t reserved;
  int64_t extent; /* number of elements used */
  int64_t stride; /* bytes from one element to the next; negative where the host's order is reversed */
} emagram_axis;

/* How one of the host's arrays lies in memory. `data` is the first element used: column 0 at the model top.
 * With a negative stride that is not the lowest address. */
typedef struct emagram_field {
  size_t struct_size; /* sizeof(emagram_field) */
  void* data;
  int32_t dtype;  /* EMAGRAM_REAL32 or EMAGRAM_REAL64 */
  int32_t device; /* EMAGRAM_CPU */
  int32_t n_axis;
  uint32_t flags;   /* 0 or EMAGRAM_PERSISTENT */
  const char* unit; /* of the host's numbers, e.g. "g kg-1"; NULL: the model's own */
  emagram_axis axis[EMAGRAM_MAX_AXES];
} emagram_field;

/* How a model is opened; NULL stands for the values of emagram_options_init, for which the caller sets struct_size. */
typedef struct emagram_options {
  size_t struct_size;          /* sizeof(emagram_options) */
  int32_t policy;              /* EMAGRAM_POLICY_*; default error */
  int32_t allow_other_dt;      /* nonzero: step accepts a dt other than the model's */
  int32_t defer_constraints;   /* nonzero: step leaves the constraints to emagram_constrain */
  int32_t allow_code;          /* nonzero: the torch plug-in may execute code from the file */
  double extrapolation_margin; /* a value counts as extrapolated only this share of its field's width of training range
                                  beyond the range of its level; default 0 */
  int32_t measure_only;        /* nonzero: residuals are measured, and no constraint changes anything */
  int32_t reserved;
} emagram_options;

typedef struct emagram_description {
  size_t struct_size; /* sizeof(emagram_description) */
  int32_t n_field;    /* inputs first, then outputs, each in the order of the manifest */
  int32_t n_input;
  int32_t n_output;
  int32_t n_level;      /* layers */
  int32_t n_neighbour;  /* 1, or 9 for a 3x3 stencil */
  int32_t n_budget;     /* column budgets of all constraints, see emagram_budget */
  double time_step;     /* [s]; 0: any, the rates do not depend on it */
  const char* name;     /* the strings live as long as the model */
  const char* sha256;   /* of the manifest, 64 hexadecimal digits */
  const char* manifest; /* the JSON text */
} emagram_description;

typedef struct emagram_field_description {
  size_t struct_size; /* sizeof(emagram_field_description) */
  const char* name;
  const char* unit;
  int32_t direction; /* EMAGRAM_INPUT, EMAGRAM_OUTPUT or EMAGRAM_INOUT (memory) */
  int32_t dimension; /* EMAGRAM_PER_* */
  int32_t size;      /* values a column: 1, layers or interfaces */
  int32_t reserved;
  double valid_minimum; /* in `unit` */
  double valid_maximum;
} emagram_field_description;

typedef struct emagram_budget_description {
  size_t struct_size; /* sizeof(emagram_budget_description) */
  const char* name;   /* the strings live as long as the model */
  const char* unit;
  const char* constraint; /* the name of what closes it */
  double tolerance;       /* |residual| up to which it holds, in `unit`; see emagram_unmet */
} emagram_budget_description;

typedef struct emagram_timing {
  size_t struct_size; /* sizeof(emagram_timing) */
  int64_t n_call;
  int64_t n_column;
  int64_t n_rejected;
  double gather_s, network_s, constraints_s, scatter_s; /* summed over the calls of these columns */
} emagram_timing;

typedef void (*emagram_log_callback)(int level, const char* message, void* user);
typedef void (*emagram_parallel_body)(int64_t index, void* body_data);
typedef void (*emagram_parallel_for)(int64_t n, emagram_parallel_body body, void* body_data, void* user);

EMAGRAM_API int emagram_abi_version(void);

/* Text of the last error of the calling thread, "" if none. Valid until its next call. */
EMAGRAM_API const char* emagram_last_error(void);

EMAGRAM_API int emagram_options_init(emagram_options* options);

/* Open a model file, verify its checksums and replay its self-test. `open_memory` copies what it keeps. */
EMAGRAM_API int emagram_open(const char* path, const emagram_options* options, emagram_model** model);
EMAGRAM_API int emagram_open_memory(const void* bytes, size_t size, const emagram_options* options,
                                    emagram_model** model);

/* Give the model back and set the handle to null. Columns made from it can still be finished, read and freed. */
EMAGRAM_API int emagram_close(emagram_model** model);

/* Fill a description; the caller sets struct_size. `index` counts from 0 to n_field - 1. */
EMAGRAM_API int emagram_describe(const emagram_model* model, emagram_description* description);
EMAGRAM_API int emagram_describe_field(const emagram_model* model, int32_t index,
                                       emagram_field_description* description);
/* `index` counts from 0 to n_budget - 1. */
EMAGRAM_API int emagram_describe_budget(const emagram_model* model, int32_t index,
                                        emagram_budget_description* description);

/* A view of `extent_1` by `extent_2` columns (extent_2 = 1 for a plain list). `identity`: the global number of
 * each column, copied, column_1 fastest; NULL counts from 0. Used in messages and for random numbers. */
EMAGRAM_API int emagram_columns_new(const emagram_model* model, int64_t extent_1, int64_t extent_2,
                                    const int64_t* identity, emagram_columns** columns);
EMAGRAM_API int emagram_columns_free(emagram_columns** columns);

/* Name one of the host's arrays. Nothing is copied. A binding holds until the next step returns (or finish; or
 * constrain, where the constraints are deferred), also when it fails; a persistent one until it is bound anew.
 * The bound array must not move or end before. */
EMAGRAM_API int emagram_bind(emagram_columns* columns, const char* name, const emagram_field* field);

/* Run the model on the first `number` columns: gather, network, constraints, scatter.
 * dt: the host's step [s]; step: its step counter; member: its ensemble member.
 * `begin` computes and `finish` writes the host's outputs; `step` is both. */
EMAGRAM_API int emagram_step(const emagram_model* model, emagram_columns* columns, int64_t number, double dt,
                             int64_t step, int64_t member);
EMAGRAM_API int emagram_begin(const emagram_model* model, emagram_columns* columns, int64_t number, double dt,
                              int64_t step, int64_t member);
EMAGRAM_API int emagram_finish(emagram_columns* columns);

/* The EMAGRAM_COLUMN_* reason of each of the first `number` columns of the last step. */
EMAGRAM_API int emagram_status(const emagram_columns* columns, int64_t number, int32_t* reason);

/* Apply the model's constraint sequence to the bound inputs and to the outputs as they now stand in the host's
 * arrays, after a coupler has merged them: columns that the last step rejected are closed with what the host put
 * there. A column that is not finite, or whose pressure does not increase, fails the call (policy `error`) or is left
 * as it is. */
EMAGRAM_API int emagram_constrain(const emagram_model* model, emagram_columns* columns, int64_t number, double dt);

/* Residual of column budget `index` in the last step or constrain, before and after all constraints (stages predicted
 * and returned): the float64 sum of the rates against the fluxes as returned. Either array may be NULL.
 * Budgets are counted over the manifest's constraints in order: a constraint can have several, or none. NaN in rejected
 * columns. */
EMAGRAM_API int emagram_budget(const emagram_columns* columns, int32_t index, int64_t number, double* before,
                               double* after);

/* The same at one stage, EMAGRAM_STAGE_*. */
EMAGRAM_API int emagram_budget_at(const emagram_columns* columns, int32_t index, int32_t stage, int64_t number,
                                  double* residual);

/* 1 in columns in which the constraint of a budget cannot hold (not enough water, say): |residual| exceeds the budget's
 * tolerance just after the constraint or, where it is what no correction can repair, just before it. 0 in others,
 * rejected ones among them. */
EMAGRAM_API int emagram_unmet(const emagram_columns* columns, int32_t index, int64_t number, int32_t* unmet);

EMAGRAM_API int emagram_timers(const emagram_columns* columns, emagram_timing* timing);

/* Messages up to `level` go to `callback`; NULL silences. Of the process. A warning is given once a call of rejected
 * columns (policies mask, clip) and once a call of each budget that is unmet after the constraints were applied. */
EMAGRAM_API int emagram_set_log(emagram_log_callback callback, int level, void* user);

/* Threads are the host's: a loop over independent blocks of columns. Of the process. */
EMAGRAM_API int emagram_set_parallel_for(emagram_parallel_for parallel_for, void* user);

#ifdef __cplusplus
}
#endif
#endif
