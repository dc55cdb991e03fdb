!> How much of an emulator enters a step of a model, and the merging of tendencies and fluxes.
!>
!> For any host, beside the module emagram: merge what emulator and host computed, then close the result by
!> model%constrain. The share depends on the number of the step alone, so a restart needs nothing of it.
module emagram_coupler
  use, intrinsic :: iso_fortran_env, only: int64, real64
  implicit none (type, external)
  private
  public :: emagram_merge

  !> The host's own physics during spin_up, then the emulator by its share: at once ("constant"), growing over
  !> ramp_steps ("linear"), or at once after ramp_steps more ("step").
  type, public :: emagram_coupling
    integer(int64) :: spin_up = 0 !! steps
    character(len=8) :: ramp = "constant" !! or linear, or step
    integer(int64) :: ramp_steps = 0 !! steps; none for "constant"
    real(real64) :: share = 1.0_real64 !! [1] of the emulator in the end
  contains
    procedure :: check => coupling_check
    procedure :: share_at => coupling_share_at
  end type emagram_coupling

  !> Make an array of the emulator's the merged one: emulator ← w emulator + (1 - w) host, w of each column; where w is
  !> 1 or 0 the bits of one of them.
  interface emagram_merge
    module procedure merge_columns, merge_profiles
  end interface emagram_merge

contains

  !> Whether the parts fit each other; one sentence if not.
  pure subroutine coupling_check(self, ierr, errmsg)
    class(emagram_coupling), intent(in) :: self
    integer, intent(out) :: ierr
    character(len=*), intent(out) :: errmsg
    errmsg = ""
    if (all(self%ramp /= [character(len=8) :: "constant", "linear", "step"])) then
      errmsg = "ramp: expected constant, linear or step, got '"//trim(self%ramp)//"'"
    else if (self%ramp == "constant" .and. self%ramp_steps /= 0) then
      errmsg = "ramp: expected no length of a constant one, got a length"
    else if (self%ramp /= "constant" .and. self%ramp_steps < 1) then
      errmsg = "ramp: expected a length of at least one step, got none"
    else if (.not. (self%share >= 0.0_real64 .and. self%share <= 1.0_real64)) then
      errmsg = "ramp: expected a share from 0 to 1, got another"
    else if (self%spin_up < 0) then
      errmsg = "ramp: expected a spin-up of 0 steps or more, got fewer"
    end if
    ierr = merge(0, 1, errmsg == "")
  end subroutine coupling_check

  !> The share of the emulator in a step.
  pure function coupling_share_at(self, step) result(share)
    class(emagram_coupling), intent(in) :: self
    integer(int64), intent(in) :: step !! steps done before it since the start of the run
    real(real64) :: share !! [1]
    integer(int64) :: since
    since = step - self%spin_up
    share = 0.0_real64
    if (since < 0) return
    share = self%share
    if (since >= self%ramp_steps) return
    if (self%ramp == "linear") share = self%share*(real(since + 1, real64)/real(self%ramp_steps, real64))
    if (self%ramp == "step") share = 0.0_real64
  end function coupling_share_at

  pure subroutine merge_columns(weight, host, emulator)
    real(real64), intent(in) :: weight(:) !! [1] (n_column)
    real(real64), intent(in) :: host(:) !! (n_column)
    real(real64), intent(inout) :: emulator(:) !! (n_column) in, the merged values out
    emulator = mixed(weight, host, emulator)
  end subroutine merge_columns

  pure subroutine merge_profiles(weight, host, emulator)
    real(real64), intent(in) :: weight(:) !! [1] (n_column)
    real(real64), intent(in) :: host(:, :) !! (n_level, n_column)
    real(real64), intent(inout) :: emulator(:, :) !! (n_level, n_column) in, the merged values out
    integer :: i
    do i = 1, size(weight)
      emulator(:, i) = mixed(weight(i), host(:, i), emulator(:, i))
    end do
  end subroutine merge_profiles

  !> What has no weight may be anything, also no number.
  elemental function mixed(weight, host, emulator) result(value)
    real(real64), intent(in) :: weight, host, emulator
    real(real64) :: value
    if (weight >= 1.0_real64) then
      value = emulator
    else if (weight <= 0.0_real64) then
      value = host
    else
      value = weight*emulator + (1.0_real64 - weight)*host
    end if
  end function mixed
end module emagram_coupler
