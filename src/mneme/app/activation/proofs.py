"""Proofs that composing is right for an engine, kept with the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mneme.core.engine import Engine
    from mneme.memories.activation.mend import Mend
    from mneme.memories.activation.proof import Proof
    from mneme.vault.vault import Vault

_PROOF: Final = "proof of composing "  # and the fingerprint: a name in the store's ledger


def mend_in_use() -> Mend:
    """Which tokens of moved texts are computed again."""
    from mneme.memories.activation.mend import FirstTokens

    return FirstTokens()


def keep_proof(vault: Vault, proof: Proof) -> None:
    """Keep what was measured, passed or not."""
    with vault.parts.store.write() as tx:
        tx.ledger.set_meta(_PROOF + proof.fingerprint, proof.to_json())


def is_proven(vault: Vault, engine: Engine) -> bool:
    """Whether texts may be moved for an engine."""
    from mneme.memories.activation.proof import Proof

    with vault.parts.store.read() as tx:
        kept = tx.ledger.meta(_PROOF + engine.fingerprint)
    if kept is None:
        return False
    try:
        return Proof.from_json(kept).covers(engine, mend_in_use(), behind_head=True)
    except InvalidInputError:  # of another version: prove again
        return False
