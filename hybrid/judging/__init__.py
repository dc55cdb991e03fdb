"""Judging an online run beside a conventional run of the same case, and drawing what was found."""

from .figures import PICTURES, Picture, draw, drawable, write_pictures
from .judgement import JUDGEMENT_NAME, Judgement, headline, judge

__all__ = [
    "JUDGEMENT_NAME",
    "PICTURES",
    "Judgement",
    "Picture",
    "draw",
    "drawable",
    "headline",
    "judge",
    "write_pictures",
]
