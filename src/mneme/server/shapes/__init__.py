"""What goes in and out of the HTTP door, as OpenAPI describes it: bodies, records, problems.

Bodies are checked by these models first, so that a request that fits the schema is one that the
library takes; answers are never checked at run time, only described.
"""
