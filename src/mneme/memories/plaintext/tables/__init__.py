"""Tables: structured memory that a model asks with SQL (ChatDB, arXiv:2306.03901)."""
