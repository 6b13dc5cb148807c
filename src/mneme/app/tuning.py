"""The verbs of parametric memory on a namespace, beside promote, demote and chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mneme.app.parametric import handling
from mneme.app.parametric.exporting import exported
from mneme.core.errors import InvalidInputError
from mneme.core.strict import strict
from mneme.ingest import checks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mneme.app.shared import Shared
    from mneme.core.cube import MemCube
    from mneme.core.engine import Engine
    from mneme.memories.parametric.compare import AdapterDiff
    from mneme.memories.parametric.externalise import Externalised
    from mneme.memories.parametric.router import Route
    from mneme.memories.parametric.training import Training
    from mneme.vault.vault import Vault


class ParametricVerbs:
    """What is done with adapters of a namespace."""

    path: str
    _shared: Shared
    _vault: Vault

    @strict
    def route(self, question: str, *, engine: Engine) -> Route:
        """Which shards would answer a question, and why, or why none."""
        question = checks.text_of(
            question, name="question", max_bytes=self._shared.limits.turn_bytes
        )
        return self._shared.models.weights(engine).route(self.path, question)

    @strict
    def externalise(
        self,
        id: str,  # noqa: A002 (as other verbs)
        *,
        engine: Engine,
        questions: Sequence[str] = (),
    ) -> Externalised:
        """Have an adapter say what it knows, each statement checked against its ledger.

        Args:
            id: Of a parametric cube.
            engine: Its base.
            questions: Further ones; what is answered to them is never admitted, only shown.

        Returns:
            What was verified, and what is quarantined: nothing of it is kept.
        """
        shard = handling.parametric(self._vault, self.path, id)
        return handling.externalised(self._shared.models, self.path, shard, engine, questions)

    @strict
    def export_adapter(
        self,
        id: str,  # noqa: A002 (as other verbs)
        path: str | Path,
        *,
        version: int | None = None,
    ) -> Path:
        """Write a version of an adapter to a new folder as peft reads it, with its ledger.

        The folder holds texts of its sources; an erasure names it among what it does not reach.

        Raises:
            ImportRefusedError: The folder is not empty.
            StoreCorruptError: A file of it is missing or damaged.
        """
        shard = handling.parametric(self._vault, self.path, id)
        return exported(self._vault, self.path, shard, checks.path_of(path), version)

    @strict
    def import_adapter(self, path: str | Path, *, engine: Engine) -> MemCube:
        """Take in an adapter that was made elsewhere: untrusted, without a ledger, never routed to.

        `chat(adapters=id)` uses it, at its user's wish; `externalise` shows what it says.

        Args:
            path: Of a folder with adapter_config.json and adapter_model.safetensors.
            engine: The base that it shall belong to.

        Raises:
            ImportRefusedError: It is no adapter, or could run code when it is read.
            InvalidInputError: It does not fit the model.
        """
        return handling.imported(self._shared.models, self.path, checks.path_of(path), engine)

    @strict
    def merge_adapters(
        self,
        ids: Sequence[str],
        *,
        engine: Engine,
        how: str = "ties_svd",
        training: Training | None = None,
    ) -> MemCube:
        """One shard of several, through the gate again; the parts are archived if it passes.

        Args:
            ids: Of two or more shards.
            engine: Their base.
            how: "svd", "ties_svd" or "cat".
            training: Its `form` and `rank`; None: the defaults.

        Raises:
            GateFailedError: The merged one does not say what its parts said; they stay as they are.
        """
        chosen = [handling.parametric(self._vault, self.path, each) for each in dict.fromkeys(ids)]
        if len(chosen) < 2:
            raise InvalidInputError("merge_adapters takes the ids of two shards or more")
        return handling.merged(self._shared.models, self.path, chosen, engine, how, training)

    @strict
    def compare_adapters(
        self,
        id: str,  # noqa: A002 (as other verbs)
        first: int,
        second: int,
        *,
        engine: Engine,
    ) -> AdapterDiff:
        """What is otherwise in a later version of a shard: facts, weights, proof."""
        shard = handling.parametric(self._vault, self.path, id)
        return handling.compared(self._shared.models, self.path, shard, (first, second), engine)

    @strict
    def unlearn(
        self,
        id: str,  # noqa: A002 (as other verbs)
        statements: Sequence[Mapping[str, str]],
        *,
        engine: Engine,
        retain: Sequence[Mapping[str, str]],
        method: str = "projection",
    ) -> MemCube:
        """Weaken what an adapter says: approximate, for adapters that cannot be written again.

        What came from texts of this memory is taken back exactly by `erase` of the text.

        Args:
            id: Of an adapter without a ledger.
            statements: {"prompt", "answer"} of what is to be forgotten.
            engine: Its base.
            retain: The same of what is to be kept.
            method: "ssd", "ascent" or "projection"; each leaves traces and does damage, which the
                metadata of the new version says as measured.
        """
        shard = handling.parametric(self._vault, self.path, id)
        wanted = handling.Weakening(statements, retain, method)
        return handling.unlearned(self._shared.models, self.path, shard, engine, wanted)
