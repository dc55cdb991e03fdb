"""Ensembles of runs of the column host: seeds × configurations, side by side, compared by survival and by scores."""
