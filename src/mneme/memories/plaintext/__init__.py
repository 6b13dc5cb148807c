"""Plaintext payloads: what is read off them, and how they are shown."""
