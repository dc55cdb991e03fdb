"""Columns to learn from: real, generated, and how to split them."""
