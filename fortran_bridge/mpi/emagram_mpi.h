/* emagram_mpi.h: open a model on every rank of a communicator while only rank 0 reads the file; agree on errors; sum.
 *
 * Both functions that open are collective. Rank 0 reads `path` (ignored elsewhere) and broadcasts the bytes; every rank
 * opens them. They return the same code on every rank: EMAGRAM_OK, or that of the lowest rank that failed, whose
 * text emagram_mpi_last_error() gives on every rank. After an error no rank holds a model.
 */
#ifndef EMAGRAM_MPI_H
#define EMAGRAM_MPI_H

#include <emagram.h>
#include <mpi.h>

#include "emagram_sum.h"

#ifdef __cplusplus
extern "C" {
#endif

int emagram_mpi_open(const char* path, const emagram_options* options, MPI_Comm comm, emagram_model** model);

/* The same for a Fortran communicator: an integer, or the MPI_VAL of a type(MPI_Comm). */
int emagram_mpi_open_f(const char* path, const emagram_options* options, MPI_Fint comm, emagram_model** model);

/* Agree on one outcome: if any rank passes a code other than EMAGRAM_OK, every rank returns the code of the lowest
 * such rank and finds its text in `message` (`size` bytes, the same on every rank). Collective. */
int emagram_mpi_agree(MPI_Comm comm, int code, char* message, int size);
int emagram_mpi_agree_f(MPI_Fint comm, int code, char* message, int size);

/* Make each of number sums (EMAGRAM_SUM_SIZE integers each, see emagram_sum.h) that of all ranks, on every rank; the
 * bits do not depend on their number. Collective. */
void emagram_mpi_sum(MPI_Comm comm, int64_t* sums, int number);
void emagram_mpi_sum_f(MPI_Fint comm, int64_t* sums, int number);

/* Text of the last error of the calling thread, "" if none. Valid until its next call. */
const char* emagram_mpi_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
