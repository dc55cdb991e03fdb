#include <emagram.h>
#include <stdio.h>

int main(int argc, char** argv) {
  emagram_model* model = NULL;
  emagram_description description = {.struct_size = sizeof description};
  int code = emagram_open(argc > 1 ? argv[1] : NULL, NULL, &model);
  if (code == EMAGRAM_OK) code = emagram_describe(model, &description);
  if (code != EMAGRAM_OK) fprintf(stderr, "%s\n", emagram_last_error());
  if (code == EMAGRAM_OK) printf("%s: %d levels\n", description.name, description.n_level);
  emagram_close(&model);
  return code;
}
