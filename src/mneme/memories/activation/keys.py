"""Names of blocks: SHA-256 chains over what decides about keys and values.

Never Python's `hash`, which differs from process to process. The salt of a namespace is a secret,
so that a key tells nothing about the tokens that it stands for, and no namespace meets another.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK = 64  # tokens


def salt_of(secret: bytes, namespace: str) -> bytes:
    """The salt of a namespace, 32 bytes."""
    return hmac.digest(secret, f"kv\0{namespace}".encode(), "sha256")


def token_bytes(tokens: Sequence[int]) -> bytes:
    """Tokens as little-endian uint32."""
    return np.asarray(tokens, dtype="<u4").tobytes()


def tokens_of(data: bytes) -> list[int]:
    """Tokens from little-endian uint32."""
    return [int(token) for token in np.frombuffer(data, dtype="<u4")]


def root_key(fingerprint: str, salt: bytes) -> bytes:
    """Where the chains of a namespace begin, for one engine."""
    return hashlib.sha256(b"root\0" + salt + fingerprint.encode()).digest()


def block_key(parent: bytes, fingerprint: str, salt: bytes, tokens: Sequence[int]) -> bytes:
    """The key of a block: of its parent, the engine, the namespace and its tokens."""
    said = b"\0".join((parent, fingerprint.encode(), salt, token_bytes(tokens)))
    return hashlib.sha256(b"block\0" + said).digest()


def chain(
    fingerprint: str, salt: bytes, tokens: Sequence[int], *, block: int = BLOCK
) -> list[bytes]:
    """The root and the keys of the full blocks of a run of tokens, in order."""
    keys = [root_key(fingerprint, salt)]
    for start in range(0, len(tokens) - block + 1, block):
        keys.append(block_key(keys[-1], fingerprint, salt, tokens[start : start + block]))
    return keys


def run_keys(
    fingerprint: str, salt: bytes, tokens: Sequence[int], *, block: int = BLOCK
) -> list[bytes]:
    """The keys of all blocks of a run of tokens, a shorter last one included."""
    keys = chain(fingerprint, salt, tokens, block=block)
    rest = tokens[(len(keys) - 1) * block :]
    last = [block_key(keys[-1], fingerprint, salt, rest)] if rest else []
    return [*keys[1:], *last]
