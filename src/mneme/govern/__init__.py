"""Whether something may be done: pure rules, no I/O."""
