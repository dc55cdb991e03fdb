"""Judging an online run beside a conventional run of the same case, and drawing what was found."""

from .judgement import JUDGEMENT_NAME, Judgement, headline, judge

__all__ = ["JUDGEMENT_NAME", "Judgement", "headline", "judge"]
