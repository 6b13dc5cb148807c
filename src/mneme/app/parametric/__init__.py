"""Shards of a memory: promoted, kept up by jobs, routed to, and asked."""
