"""Questions to the records: where a number comes from, what hangs on a file, what would run, whether it repeats."""
