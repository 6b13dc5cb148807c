"""Decisions about when: pure functions of what is known of a memory."""
