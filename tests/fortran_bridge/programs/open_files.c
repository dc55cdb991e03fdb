/* open_files FILE...: open and close each model file; prints the code of each. For the sanitizers. */
#include <stdio.h>

#include "emagram.h"

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    emagram_model* model = NULL;
    printf("%d\n", emagram_open(argv[i], NULL, &model));
    if (model != NULL) emagram_close(&model);
  }
  return 0;
}
