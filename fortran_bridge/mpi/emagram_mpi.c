#include "emagram_mpi.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { message_size = 1024 };
static const size_t largest_piece = (size_t)1 << 30; /* MPI counts are int */

static _Thread_local char last_error[message_size];

static int fail(int code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return code;
}

const char* emagram_mpi_last_error(void) { return last_error; }

int emagram_mpi_agree(MPI_Comm comm, int code, char* message, int size) {
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  const int candidate = code == EMAGRAM_OK ? INT_MAX : rank;
  int lowest = INT_MAX;
  MPI_Allreduce(&candidate, &lowest, 1, MPI_INT, MPI_MIN, comm);
  if (lowest == INT_MAX) return EMAGRAM_OK;
  MPI_Bcast(&code, 1, MPI_INT, lowest, comm);
  MPI_Bcast(message, size, MPI_CHAR, lowest, comm);
  return code;
}

int emagram_mpi_agree_f(MPI_Fint comm, int code, char* message, int size) {
  return emagram_mpi_agree(MPI_Comm_f2c(comm), code, message, size);
}

void emagram_mpi_sum(MPI_Comm comm, int64_t* sums, int number) {
  for (int i = 0; i < number; ++i) emagram_sum_carry(sums + (size_t)i * EMAGRAM_SUM_SIZE);
  MPI_Allreduce(MPI_IN_PLACE, sums, number * EMAGRAM_SUM_SIZE, MPI_INT64_T, MPI_SUM, comm);
}

void emagram_mpi_sum_f(MPI_Fint comm, int64_t* sums, int number) { emagram_mpi_sum(MPI_Comm_f2c(comm), sums, number); }

/* Read a whole file; the caller frees *bytes. */
static int read_file(const char* path, char** bytes, size_t* size) {
  if (path == NULL || path[0] == '\0') return fail(EMAGRAM_ERROR_ARGUMENT, "model file: expected a path, got none");
  FILE* file = fopen(path, "rb");
  if (file == NULL) return fail(EMAGRAM_ERROR_FILE, "model file '%s' cannot be read: %s", path, strerror(errno));
  size_t capacity = 0, used = 0, got = 0;
  char* buffer = NULL;
  do {
    capacity = capacity == 0 ? (size_t)1 << 20 : 2 * capacity;
    char* larger = realloc(buffer, capacity);
    if (larger == NULL) {
      free(buffer);
      fclose(file);
      return fail(EMAGRAM_ERROR_MEMORY, "model file '%s': %zu bytes cannot be allocated", path, capacity);
    }
    buffer = larger;
    got = fread(buffer + used, 1, capacity - used, file);
    used += got;
  } while (used == capacity);
  const int broken = ferror(file) ? errno : 0;
  fclose(file);
  if (broken != 0) {
    free(buffer);
    return fail(EMAGRAM_ERROR_FILE, "model file '%s' cannot be read: %s", path, strerror(broken));
  }
  *bytes = buffer;
  *size = used;
  return EMAGRAM_OK;
}

/* Give every rank the bytes of rank 0 in pieces that an int can count. */
static int broadcast(MPI_Comm comm, int rank, char** bytes, size_t* size) {
  unsigned long long total = *size;
  MPI_Bcast(&total, 1, MPI_UNSIGNED_LONG_LONG, 0, comm);
  *size = (size_t)total;
  int code = EMAGRAM_OK;
  if (rank != 0) {
    *bytes = malloc(*size > 0 ? *size : 1);
    if (*bytes == NULL) code = fail(EMAGRAM_ERROR_MEMORY, "model file: %zu bytes cannot be allocated", *size);
  }
  code = emagram_mpi_agree(comm, code, last_error, message_size);
  if (code != EMAGRAM_OK) return code;
  for (size_t done = 0; done < *size; done += largest_piece) {
    const size_t left = *size - done;
    MPI_Bcast(*bytes + done, (int)(left < largest_piece ? left : largest_piece), MPI_BYTE, 0, comm);
  }
  return EMAGRAM_OK;
}

int emagram_mpi_open(const char* path, const emagram_options* options, MPI_Comm comm, emagram_model** model) {
  last_error[0] = '\0';
  if (comm == MPI_COMM_NULL) return fail(EMAGRAM_ERROR_ARGUMENT, "communicator: expected one, got MPI_COMM_NULL");
  int rank = 0;
  MPI_Comm_rank(comm, &rank);
  char* bytes = NULL;
  size_t size = 0;
  int code = EMAGRAM_OK;
  if (model == NULL)
    code = fail(EMAGRAM_ERROR_ARGUMENT, "model is null");
  else
    *model = NULL;
  if (code == EMAGRAM_OK && rank == 0) code = read_file(path, &bytes, &size);
  code = emagram_mpi_agree(comm, code, last_error, message_size);
  if (code == EMAGRAM_OK) code = broadcast(comm, rank, &bytes, &size);
  if (code == EMAGRAM_OK) {
    emagram_model* opened = NULL;
    code = emagram_open_memory(bytes, size, options, &opened);
    if (code != EMAGRAM_OK) fail(code, "'%s': %s", path, emagram_last_error());
    code = emagram_mpi_agree(comm, code, last_error, message_size);
    if (code == EMAGRAM_OK)
      *model = opened;
    else if (opened != NULL)
      emagram_close(&opened);
  }
  free(bytes);
  return code;
}

int emagram_mpi_open_f(const char* path, const emagram_options* options, MPI_Fint comm, emagram_model** model) {
  return emagram_mpi_open(path, options, MPI_Comm_f2c(comm), model);
}
