"""The kinds of memory: algorithms on payloads, one folder for each."""
