"""What must be fast: one folder per operation."""
