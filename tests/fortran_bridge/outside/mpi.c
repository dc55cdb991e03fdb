#include <emagram_mpi.h>
#include <stdio.h>

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  emagram_model* model = NULL;
  emagram_description description = {.struct_size = sizeof description};
  int code = emagram_mpi_open(argc > 1 ? argv[1] : NULL, NULL, MPI_COMM_WORLD, &model);
  if (code != EMAGRAM_OK) fprintf(stderr, "%s\n", emagram_mpi_last_error());
  if (code == EMAGRAM_OK) code = emagram_describe(model, &description);
  if (code == EMAGRAM_OK) printf("%s: %d levels\n", description.name, description.n_level);
  emagram_close(&model);
  MPI_Finalize();
  return code;
}
