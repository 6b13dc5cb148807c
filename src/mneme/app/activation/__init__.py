"""Chats with an engine, and what is promoted to keys and values for it."""
