"""Language models in this process, by transformers: extra `local`.

A folder goes in; an `Engine` comes out that gave proof on a few tokens that its keys and values can
be kept. Nothing is fetched, no code of a model's is run, and nothing is unpickled.
"""
