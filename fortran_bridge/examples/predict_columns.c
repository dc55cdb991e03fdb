/* mpirun -n 2 predict_columns_c MODEL.emg COLUMNS.nc OUTPUT.nc [CHUNK [error|mask|clip]]
 *
 * Run a model on the columns of a NetCDF file. Every input of the model is a variable of its name with dimensions
 * (column, level), (column, interface) or (column) and an attribute `units`. The columns are split over the ranks and
 * stepped CHUNK (default 64) at a time; neither changes a bit of the output. A column that the policy rejects
 * (default error: none may be) keeps the fill value. Beside the outputs stand the residuals of the model's column
 * budgets before and after its constraints, and where one cannot hold. OUTPUT.nc appears when it is complete.
 * predict_columns.f90 and predict_columns.py write the same bytes.
 */
#include <emagram.h>
#include <emagram_mpi.h>
#include <limits.h>
#include <math.h>
#include <mpi.h>
#include <netcdf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { message_size = 1024, most_fields = 256, most_budgets = 64, n_stage = EMAGRAM_STAGE_RETURNED + 1 };

static const char* const dimension_names[] = {"column", "level", "interface", "stage"};

typedef struct {
  emagram_field_description about;
  double* value;          /* (columns of this rank, size) */
  char unit[NC_MAX_NAME]; /* as the file states it */
} Field;

typedef struct {
  emagram_budget_description about;
  double* residual; /* (columns of this rank, n_stage) */
  int32_t* unmet;   /* (columns of this rank) */
} Budget;

typedef struct {
  int rank, n_rank;
  int n_column, first, number; /* of all ranks; this rank's are [first, first + number) */
  emagram_model* model;
  emagram_description about;
  Field field[most_fields]; /* inputs, then outputs */
  Budget budget[most_budgets];
  int32_t* reason;
  char message[message_size];
} Run;

static int fail(Run* run, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(run->message, sizeof run->message, format, arguments);
  va_end(arguments);
  return 1;
}

static int fail_netcdf(Run* run, const char* kind, const char* name, int status) {
  return fail(run, "%s '%s': %s", kind, name, nc_strerror(status));
}

static int checked(Run* run, int code) { return code == EMAGRAM_OK ? 0 : fail(run, "%s", emagram_last_error()); }

static double* allocate(int n_column, int size) {
  return malloc(sizeof(double) * ((size_t)n_column * (size_t)size + 1));
}

/* Digits only; 0 for anything else. */
static int positive_number(const char* text) {
  char* end = NULL;
  const long number = text[strspn(text, "0123456789")] == '\0' ? strtol(text, &end, 10) : 0;
  return number > INT_MAX ? 0 : (int)number;
}

static int read_arguments(Run* run, int argc, char** argv, int* chunk, emagram_options* options) {
  static const char* const policies[] = {"error", "mask", "clip"};
  if (argc < 4 || argc > 6)
    return fail(run, "expected the arguments MODEL.emg COLUMNS.nc OUTPUT.nc [CHUNK [error|mask|clip]]");
  options->struct_size = sizeof *options;
  if (checked(run, emagram_options_init(options))) return 1;
  *chunk = argc > 4 ? positive_number(argv[4]) : 64;
  if (*chunk < 1) return fail(run, "argument CHUNK: expected a positive number of columns, got '%s'", argv[4]);
  if (argc < 6) return 0;
  for (int policy = 0; policy < 3; ++policy)
    if (strcmp(argv[5], policies[policy]) == 0) {
      options->policy = policy;
      return 0;
    }
  return fail(run, "argument POLICY: expected error, mask or clip, got '%s'", argv[5]);
}

static int describe(Run* run) {
  run->about.struct_size = sizeof run->about;
  if (checked(run, emagram_describe(run->model, &run->about))) return 1;
  if (run->about.n_field > most_fields)
    return fail(run, "model: expected at most %d fields, got %d", most_fields, run->about.n_field);
  for (int i = 0; i < run->about.n_field; ++i) {
    run->field[i].about.struct_size = sizeof run->field[i].about;
    if (checked(run, emagram_describe_field(run->model, i, &run->field[i].about))) return 1;
  }
  if (run->about.n_budget > most_budgets)
    return fail(run, "model: expected at most %d budgets, got %d", most_budgets, run->about.n_budget);
  for (int i = 0; i < run->about.n_budget; ++i) {
    run->budget[i].about.struct_size = sizeof run->budget[i].about;
    if (checked(run, emagram_describe_budget(run->model, i, &run->budget[i].about))) return 1;
  }
  return 0;
}

/* Refuse a variable whose dimensions are not (column) or (column, level) of the model's size. */
static int check_dimensions(Run* run, int file, int variable, const emagram_field_description* about) {
  int n = 0, ids[NC_MAX_VAR_DIMS];
  nc_inq_varndims(file, variable, &n);
  nc_inq_vardimid(file, variable, ids);
  char got[message_size] = "", expected[64] = "column", name[NC_MAX_NAME + 1];
  size_t length = 1, used = 0;
  for (int i = 0; i < n && used < sizeof got; ++i) {
    nc_inq_dim(file, ids[i], name, &length);
    used += (size_t)snprintf(got + used, sizeof got - used, "%s%s", i > 0 ? ", " : "", name);
  }
  if (about->dimension != EMAGRAM_PER_COLUMN)
    snprintf(expected, sizeof expected, "column, %s", dimension_names[about->dimension]);
  if (strcmp(got, expected) != 0)
    return fail(run, "variable '%s': expected dimensions (%s), got (%s)", about->name, expected, got);
  if (about->dimension != EMAGRAM_PER_COLUMN && length != (size_t)about->size)
    return fail(run, "variable '%s': expected %s = %d, got %zu", about->name, dimension_names[about->dimension],
                about->size, length);
  return 0;
}

static int read_unit(Run* run, int file, int variable, Field* field) {
  const char* name = field->about.name;
  size_t length = 0;
  if (nc_inq_attlen(file, variable, "scale_factor", &length) == NC_NOERR ||
      nc_inq_attlen(file, variable, "add_offset", &length) == NC_NOERR)
    return fail(run, "variable '%s': expected plain numbers, got packed ones (scale_factor or add_offset)", name);
  int status = nc_inq_attlen(file, variable, "units", &length);
  if (status == NC_NOERR && length >= sizeof field->unit) status = NC_EATTMETA;
  if (status == NC_NOERR) status = nc_get_att_text(file, variable, "units", field->unit);
  if (status != NC_NOERR) return fail(run, "variable '%s': attribute 'units': %s", name, nc_strerror(status));
  field->unit[length] = '\0';
  return 0;
}

static int read_variable(Run* run, int file, Field* field) {
  const char* name = field->about.name;
  int variable = 0;
  int status = nc_inq_varid(file, name, &variable);
  if (status != NC_NOERR) return fail_netcdf(run, "variable", name, status);
  if (check_dimensions(run, file, variable, &field->about) || read_unit(run, file, variable, field)) return 1;
  const size_t start[] = {(size_t)run->first, 0}, count[] = {(size_t)run->number, (size_t)field->about.size};
  if (run->number > 0) status = nc_get_vara_double(file, variable, start, count, field->value);
  return status == NC_NOERR ? 0 : fail_netcdf(run, "variable", name, status);
}

static int make_budgets(Run* run) {
  for (int i = 0; i < run->about.n_budget; ++i) {
    run->budget[i].residual = allocate(run->number, n_stage);
    run->budget[i].unmet = calloc((size_t)run->number + 1, sizeof *run->budget[i].unmet);
    if (run->budget[i].residual == NULL || run->budget[i].unmet == NULL)
      return fail(run, "%d columns do not fit into memory", run->number);
  }
  return 0;
}

/* Read this rank's part of every input, and make room for every output. */
static int read_columns(Run* run, const char* path) {
  int file = 0, dimension = 0, code = 0;
  size_t n_column = 0;
  int status = nc_open(path, NC_NOWRITE, &file);
  if (status != NC_NOERR) return fail_netcdf(run, "file", path, status);
  status = nc_inq_dimid(file, "column", &dimension);
  if (status == NC_NOERR) status = nc_inq_dimlen(file, dimension, &n_column);
  if (status != NC_NOERR) code = fail_netcdf(run, "dimension", "column", status);
  run->n_column = (int)n_column;
  run->first = (int)((long long)run->n_column * run->rank / run->n_rank);
  run->number = (int)((long long)run->n_column * (run->rank + 1) / run->n_rank) - run->first;
  run->reason = calloc((size_t)run->number + 1, sizeof *run->reason);
  if (run->reason == NULL) code = fail(run, "%d columns do not fit into memory", run->number);
  for (int i = 0; i < run->about.n_field && code == 0; ++i) {
    Field* field = &run->field[i];
    const int n = run->number * field->about.size;
    field->value = allocate(run->number, field->about.size);
    if (field->value == NULL) code = fail(run, "%d columns do not fit into memory", run->number);
    for (int k = 0; k < n && code == 0; ++k) field->value[k] = NC_FILL_DOUBLE;
    if (i < run->about.n_input && code == 0) code = read_variable(run, file, field);
  }
  nc_close(file);
  return code == 0 ? make_budgets(run) : code;
}

static int bind_field(Run* run, emagram_columns* columns, int index, int from, int number) {
  Field* field = &run->field[index];
  const int size = field->about.size, is_input = index < run->about.n_input;
  const int64_t row = (int64_t)sizeof(double) * size;
  emagram_field descriptor = {.struct_size = sizeof descriptor,
                              .data = field->value + (size_t)from * (size_t)size,
                              .dtype = EMAGRAM_REAL64,
                              .n_axis = field->about.dimension == EMAGRAM_PER_COLUMN ? 1 : 2,
                              .unit = is_input ? field->unit : NULL};
  descriptor.axis[0] = (emagram_axis){.role = EMAGRAM_AXIS_COLUMN_1, .extent = number, .stride = row};
  descriptor.axis[1] = (emagram_axis){.role = EMAGRAM_AXIS_LEVEL, .extent = size, .stride = sizeof(double)};
  return checked(run, emagram_bind(columns, field->about.name, &descriptor));
}

/* Residuals of a chunk, fill values in rejected columns, and where a budget is unmet. */
static int read_budgets(Run* run, const emagram_columns* columns, int from, int number) {
  double* residual = allocate(number, 1);
  if (residual == NULL) return fail(run, "%d columns do not fit into memory", number);
  int code = 0;
  for (int i = 0; i < run->about.n_budget && code == 0; ++i) {
    Budget* budget = &run->budget[i];
    for (int stage = 0; stage < n_stage && code == 0; ++stage) {
      code = checked(run, emagram_budget_at(columns, i, stage, number, residual));
      for (int c = 0; c < number && code == 0; ++c)
        budget->residual[(from + c) * n_stage + stage] = isnan(residual[c]) ? NC_FILL_DOUBLE : residual[c];
    }
    if (code == 0) code = checked(run, emagram_unmet(columns, i, number, budget->unmet + from));
  }
  free(residual);
  return code;
}

static int step_chunk(Run* run, int from, int number) {
  int64_t* identity = malloc(sizeof *identity * (size_t)number);
  if (identity == NULL) return fail(run, "%d columns do not fit into memory", number);
  for (int i = 0; i < number; ++i) identity[i] = run->first + from + i;
  emagram_columns* columns = NULL;
  int code = checked(run, emagram_columns_new(run->model, number, 1, identity, &columns));
  free(identity);
  for (int i = 0; i < run->about.n_field && code == 0; ++i) code = bind_field(run, columns, i, from, number);
  const double dt = run->about.time_step > 0.0 ? run->about.time_step : 1.0;
  if (code == 0) code = checked(run, emagram_step(run->model, columns, number, dt, 0, 0));
  if (code == 0) code = checked(run, emagram_status(columns, number, run->reason + from));
  if (code == 0) code = read_budgets(run, columns, from, number);
  emagram_columns_free(&columns);
  return code;
}

static int step_chunks(Run* run, int chunk) {
  for (int from = 0; from < run->number; from += chunk) {
    const int left = run->number - from;
    if (step_chunk(run, from, left < chunk ? left : chunk)) return 1;
  }
  return 0;
}

static void gather_values(const Run* run, double** value, int size) {
  int counts[run->n_rank], offsets[run->n_rank];
  for (int r = 0; r < run->n_rank; ++r) {
    offsets[r] = size * (int)((long long)run->n_column * r / run->n_rank);
    counts[r] = size * (int)((long long)run->n_column * (r + 1) / run->n_rank) - offsets[r];
  }
  double* whole = allocate(run->rank == 0 ? run->n_column : 0, size);
  if (whole == NULL) MPI_Abort(MPI_COMM_WORLD, 1);
  MPI_Gatherv(*value, size * run->number, MPI_DOUBLE, whole, counts, offsets, MPI_DOUBLE, 0, MPI_COMM_WORLD);
  free(*value);
  *value = whole;
}

static void gather_flags(const Run* run, int32_t** flag) {
  int counts[run->n_rank], offsets[run->n_rank];
  for (int r = 0; r < run->n_rank; ++r) {
    offsets[r] = (int)((long long)run->n_column * r / run->n_rank);
    counts[r] = (int)((long long)run->n_column * (r + 1) / run->n_rank) - offsets[r];
  }
  int32_t* whole = malloc(sizeof *whole * ((size_t)(run->rank == 0 ? run->n_column : 0) + 1));
  if (whole == NULL) MPI_Abort(MPI_COMM_WORLD, 1);
  MPI_Gatherv(*flag, run->number, MPI_INT32_T, whole, counts, offsets, MPI_INT32_T, 0, MPI_COMM_WORLD);
  free(*flag);
  *flag = whole;
}

/* Replace this rank's outputs by those of all ranks, on rank 0. */
static int gather(Run* run) {
  for (int i = run->about.n_input; i < run->about.n_field; ++i)
    gather_values(run, &run->field[i].value, run->field[i].about.size);
  for (int i = 0; i < run->about.n_budget; ++i) {
    gather_values(run, &run->budget[i].residual, n_stage);
    gather_flags(run, &run->budget[i].unmet);
  }
  gather_flags(run, &run->reason);
  return 0;
}

static int put_text(int file, int variable, const char* name, const char* text) {
  return nc_put_att_text(file, variable, name, strlen(text), text);
}

/* A name and what stands before and after it, blanks for its underscores. */
static int put_long_name(int file, int variable, const char* before, const char* name, const char* after) {
  char long_name[2 * NC_MAX_NAME];
  snprintf(long_name, sizeof long_name, "%s%s%s", before, name, after);
  for (char* c = long_name; *c != '\0'; ++c)
    if (*c == '_') *c = ' ';
  return put_text(file, variable, "long_name", long_name);
}

/* A variable (column), or (column, dimension) if that is not negative. */
static int define_values(int file, const char* name, const char* unit, int column, int dimension, int* variable) {
  const int shape[] = {column, dimension};
  const double fill = NC_FILL_DOUBLE;
  int status = nc_def_var(file, name, NC_DOUBLE, dimension < 0 ? 1 : 2, shape, variable);
  if (status == NC_NOERR) status = nc_put_att_double(file, *variable, "_FillValue", NC_DOUBLE, 1, &fill);
  if (status == NC_NOERR) status = put_text(file, *variable, "units", unit);
  return status;
}

static int define_output(int file, const emagram_field_description* about, const int* dimensions, int* variable) {
  const int dimension = about->dimension == EMAGRAM_PER_COLUMN ? -1 : dimensions[about->dimension];
  const int status = define_values(file, about->name, about->unit, dimensions[0], dimension, variable);
  return status == NC_NOERR ? put_long_name(file, *variable, "", about->name, "") : status;
}

static int define_stage(int file, int stage, int* variable) {
  const int values[] = {EMAGRAM_STAGE_PREDICTED, EMAGRAM_STAGE_BEFORE, EMAGRAM_STAGE_AFTER, EMAGRAM_STAGE_RETURNED};
  int status = nc_def_var(file, "stage", NC_INT, 1, &stage, variable);
  if (status == NC_NOERR) status = put_text(file, *variable, "long_name", "when a residual was measured");
  if (status == NC_NOERR) status = nc_put_att_int(file, *variable, "flag_values", NC_INT, n_stage, values);
  if (status == NC_NOERR) status = put_text(file, *variable, "flag_meanings", "predicted before after returned");
  return status;
}

/* The residual of a budget and where it is unmet: two variables. */
static int define_budget(int file, const emagram_budget_description* about, const int* dimensions, int* variable) {
  const int values[] = {0, 1};
  char name[NC_MAX_NAME + 1];
  snprintf(name, sizeof name, "residual_of_%s", about->name);
  int status = define_values(file, name, about->unit, dimensions[0], dimensions[3], &variable[0]);
  if (status == NC_NOERR) status = put_long_name(file, variable[0], "residual of ", about->name, "");
  snprintf(name, sizeof name, "unmet_%s", about->name);
  if (status == NC_NOERR) status = nc_def_var(file, name, NC_INT, 1, dimensions, &variable[1]);
  if (status == NC_NOERR) status = put_long_name(file, variable[1], "whether ", about->name, " is unmet");
  if (status == NC_NOERR) status = nc_put_att_int(file, variable[1], "flag_values", NC_INT, 2, values);
  if (status == NC_NOERR) status = put_text(file, variable[1], "flag_meanings", "met unmet");
  return status;
}

static int define_status(int file, int column, int* variable) {
  const int values[] = {EMAGRAM_COLUMN_OK,
                        EMAGRAM_COLUMN_EXTRAPOLATED,
                        EMAGRAM_COLUMN_CLIPPED,
                        EMAGRAM_COLUMN_NON_FINITE_INPUT,
                        EMAGRAM_COLUMN_INVALID_INPUT,
                        EMAGRAM_COLUMN_LEVEL_ORDER,
                        EMAGRAM_COLUMN_NON_FINITE_OUTPUT};
  int status = nc_def_var(file, "emagram_status", NC_INT, 1, &column, variable);
  if (status == NC_NOERR) status = put_text(file, *variable, "long_name", "what befell the column in the emulator");
  if (status == NC_NOERR) status = nc_put_att_int(file, *variable, "flag_values", NC_INT, 7, values);
  if (status == NC_NOERR)
    status = put_text(file, *variable, "flag_meanings",
                      "ok extrapolated clipped non_finite_input invalid_input level_order non_finite_output");
  return status;
}

/* Dimensions, variables and attributes, after CF-1.8. */
static int define(const Run* run, int file, int* variable) {
  const int n_level = run->about.n_level, n_field = run->about.n_field;
  const size_t length[] = {(size_t)run->n_column, (size_t)n_level, (size_t)n_level + 1, n_stage};
  int status = NC_NOERR, dimensions[4];
  for (int i = 0; i < 4 && status == NC_NOERR; ++i)
    status = nc_def_dim(file, dimension_names[i], length[i], &dimensions[i]);
  for (int i = run->about.n_input; i < n_field && status == NC_NOERR; ++i)
    status = define_output(file, &run->field[i].about, dimensions, &variable[i]);
  if (status == NC_NOERR) status = define_status(file, dimensions[0], &variable[n_field]);
  if (status == NC_NOERR) status = define_stage(file, dimensions[3], &variable[n_field + 1]);
  for (int i = 0; i < run->about.n_budget && status == NC_NOERR; ++i)
    status = define_budget(file, &run->budget[i].about, dimensions, &variable[n_field + 2 + 2 * i]);
  char source[message_size];
  snprintf(source, sizeof source, "Emagram model '%s'", run->about.name);
  if (status == NC_NOERR) status = put_text(file, NC_GLOBAL, "Conventions", "CF-1.8");
  if (status == NC_NOERR) status = put_text(file, NC_GLOBAL, "source", source);
  if (status == NC_NOERR) status = put_text(file, NC_GLOBAL, "emagram_model_sha256", run->about.sha256);
  return status == NC_NOERR ? nc_enddef(file) : status;
}

static int put_variables(const Run* run, int file, const int* variable) {
  static const int stages[] = {EMAGRAM_STAGE_PREDICTED, EMAGRAM_STAGE_BEFORE, EMAGRAM_STAGE_AFTER,
                               EMAGRAM_STAGE_RETURNED};
  const int n_field = run->about.n_field;
  int status = NC_NOERR;
  for (int i = run->about.n_input; i < n_field && status == NC_NOERR; ++i)
    status = nc_put_var_double(file, variable[i], run->field[i].value);
  if (status == NC_NOERR) status = nc_put_var_int(file, variable[n_field], run->reason);
  if (status == NC_NOERR) status = nc_put_var_int(file, variable[n_field + 1], stages);
  for (int i = 0; i < run->about.n_budget && status == NC_NOERR; ++i) {
    status = nc_put_var_double(file, variable[n_field + 2 + 2 * i], run->budget[i].residual);
    if (status == NC_NOERR) status = nc_put_var_int(file, variable[n_field + 3 + 2 * i], run->budget[i].unmet);
  }
  return status;
}

/* Write the file under a temporary name and rename it when it is complete. */
static int write_output(Run* run, const char* path) {
  char temporary[4096];
  if (snprintf(temporary, sizeof temporary, "%s.part", path) >= (int)sizeof temporary)
    return fail(run, "file '%.100s...': the path is too long", path);
  int file = 0, variable[most_fields + 2 + 2 * most_budgets];
  int status = nc_create(temporary, NC_CLOBBER | NC_64BIT_OFFSET, &file);
  if (status != NC_NOERR) return fail_netcdf(run, "file", path, status);
  status = define(run, file, variable);
  if (status == NC_NOERR) status = put_variables(run, file, variable);
  const int closed = nc_close(file);
  if (status == NC_NOERR) status = closed;
  int code = status == NC_NOERR ? 0 : fail_netcdf(run, "file", path, status);
  if (code == 0 && rename(temporary, path) != 0)
    code = fail(run, "file '%s': the finished file cannot be renamed to it", path);
  if (code != 0) remove(temporary);
  return code;
}

static int agreed(Run* run, int code) { return emagram_mpi_agree(MPI_COMM_WORLD, code, run->message, message_size); }

static int predict(Run* run, int argc, char** argv) {
  int chunk = 0;
  emagram_options options = {.struct_size = sizeof options};
  if (read_arguments(run, argc, argv, &chunk, &options)) return 1;
  if (emagram_mpi_open(argv[1], &options, MPI_COMM_WORLD, &run->model) != EMAGRAM_OK)
    return fail(run, "%s", emagram_mpi_last_error());
  if (describe(run) || agreed(run, read_columns(run, argv[2])) || agreed(run, step_chunks(run, chunk)) || gather(run))
    return 1;
  return agreed(run, run->rank == 0 ? write_output(run, argv[3]) : 0);
}

int main(int argc, char** argv) {
  static Run run;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &run.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &run.n_rank);
  const int code = predict(&run, argc, argv);
  int n_rejected = 0;
  for (int i = 0; code == 0 && run.rank == 0 && i < run.n_column; ++i)
    n_rejected += run.reason[i] >= EMAGRAM_COLUMN_REJECTED;
  if (run.rank == 0 && code != 0) fprintf(stderr, "predict_columns: %s\n", run.message);
  if (run.rank == 0 && code == 0)
    printf("predict_columns: %d columns, %d rejected, written to %s\n", run.n_column, n_rejected, argv[3]);
  emagram_close(&run.model);
  for (int i = 0; i < run.about.n_field; ++i) free(run.field[i].value);
  for (int i = 0; i < run.about.n_budget; ++i) free(run.budget[i].residual), free(run.budget[i].unmet);
  free(run.reason);
  MPI_Finalize();
  return code == 0 ? 0 : 1;
}
