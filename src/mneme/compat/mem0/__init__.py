"""`Memory` and `AsyncMemory` with the calls and results of mem0ai 2, kept by Mneme.

    from mneme.compat.mem0 import Memory

    memory = Memory()
    memory.add("I moved to Oslo in March.", user_id="alice")
    memory.search("Where does she live?", filters={"user_id": "alice"})["results"]

No key and no model are needed. What mem0 has and Mneme does not is refused, never ignored;
docs/integrations/mem0.md lists where the two differ.
"""

from __future__ import annotations

from mneme.compat.mem0.later import AsyncMemory
from mneme.compat.mem0.memory import Memory
from mneme.compat.mem0.scope import MemoryNotFoundError, ValidationError

__all__ = ["AsyncMemory", "Memory", "MemoryNotFoundError", "ValidationError"]
