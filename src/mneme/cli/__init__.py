"""The command line: one verb for each call. See `mneme --help`."""
