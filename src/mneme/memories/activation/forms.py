"""Names of forms: how keys and values are kept. No tensors: any process may read them.

A form is a codec ("raw", "int8"), or a policy that left tokens out, a "+", and a codec
("leverage-0.50+int8").
"""

from __future__ import annotations

from typing import Final

from mneme.core.errors import InvalidInputError

CODECS: Final = ("raw", "bf16", "int8", "int4", "lowrank")  # the most faithful first


def codec_name(form: str) -> str:
    """The codec of a form.

    Raises:
        InvalidInputError: There is none of that name.
    """
    name = form.rpartition("+")[2].partition("@")[0]  # "lowrank@..." names its basis
    if name not in CODECS:
        raise InvalidInputError(f"form {form!r} is unknown; known: {', '.join(CODECS)}")
    return name


def policy_name(form: str) -> str | None:
    """The policy of a form, with its share; None where every token is there."""
    return form.rpartition("+")[0] or None


def is_cuttable(form: str) -> bool:
    """Whether the first tokens of a block can be used without the rest."""
    return policy_name(form) is None


def is_exact(form: str) -> bool:
    """Whether keys and values come back bit by bit."""
    return form == "raw"


def rank_of(form: str) -> int:
    """0 for the most faithful codec."""
    return CODECS.index(codec_name(form))
