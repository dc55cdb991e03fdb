"""Columns like ClimSim's for tests: drawn from its statistics, or made up where there are none."""

from .climsim_toy import RawStep, toy_climsim

__all__ = ["RawStep", "toy_climsim"]
