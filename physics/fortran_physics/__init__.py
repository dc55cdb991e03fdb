"""The Fortran column physics of physics/fortran/, for numpy arrays: one module for each process."""
