"""Adding, reading in the background and contexts that catch up, all at once."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import mneme
from mneme.settings import Settings


def test_threads_that_add_and_recall_make_each_fact_once(tmp_path: Path) -> None:
    with mneme.open(tmp_path, settings=Settings(embedder="static")) as memory:
        alice = memory.namespace("alice")
        failures: list[BaseException] = []

        def talk(who: int) -> None:
            try:
                for number in range(40):
                    alice.add(f"gauge {who}: value {number}", session=f"s{who}")
                    if number % 5 == 4:
                        text = alice.recall(f"What is gauge {who}?").text
                        assert f"gauge {who}: value {number}" in text
            except BaseException as failure:
                failures.append(failure)
                raise

        threads = [Thread(target=talk, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        memory.drain()
        facts = alice.list(types=["fact"], limit=1000).items
        assert len({fact.text for fact in facts}) == len(facts) == 160
        held = sorted(fact.text for fact in facts if fact.valid_to is None)
        assert held == [f"gauge {who}: value 39" for who in range(4)]
        assert memory.verify().ok
