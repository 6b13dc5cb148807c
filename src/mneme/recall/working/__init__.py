"""Working memory, its pure parts: messages, the window, summaries, evidence, tools, tiers."""
