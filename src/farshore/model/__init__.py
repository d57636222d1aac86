"""The words and rules of Farshore, pure: no I/O, no clocks, no services."""
