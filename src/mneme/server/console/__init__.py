"""The console at `/`: pages for people, made on the server.

Each page respects the grants of the key that signed in: what it may not do is not offered, and is
refused where it is asked for all the same. Reading works without JavaScript; htmx makes forms
answer in place. Nothing is fetched from anywhere else.
"""

from mneme.server.console.mount import mount

__all__ = ["mount"]
