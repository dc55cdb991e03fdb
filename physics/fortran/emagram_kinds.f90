!> Kinds of the Fortran sources.
module emagram_kinds
  use, intrinsic :: iso_c_binding, only: c_double, c_int
  implicit none (type, external)
  private
  integer, parameter, public :: rk = c_double !! reals of the column physics
  integer, parameter, public :: ik = c_int !! array sizes and error codes
end module emagram_kinds
