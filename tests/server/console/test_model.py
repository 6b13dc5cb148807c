"""The playground with a model behind it: plan, timings, and what the charts make of them."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from mneme.app.memory import MemoryOS
from mneme.testing.doors import running_door

pytest.importorskip("torch", reason="the extra local is not installed")


def test_the_plan_says_what_went_in_as_text_and_what_as_keys_and_values(
    memory: MemoryOS, tmp_path: Path
) -> None:
    from mneme import wiring
    from mneme.testing.tiny_models import tiny_model

    engine = wiring.open_engine(tiny_model("llama", tmp_path / "model"))
    memory.attach(engine)
    alice = memory.namespace("alice")
    guide, *_ = alice.add("Refunds are given within 30 days of the day. " * 40, type="document")
    alice.add("My question is of the refund of the 4 days.")
    alice.promote(guide.id, to="activation", engine=engine)
    with (
        running_door(memory, engine=engine) as door,
        httpx2.Client(base_url=door.url, headers=door.headers, timeout=60) as client,
    ):
        assert "Ask the model" in client.get("/n/alice/playground").text
        form = {"q": "How many days for a refund?", "budget": "600"}
        page = client.post("/n/alice/playground", data=form)
        assert page.status_code == 200, page.text
        for shown in ("Answer", "Plan", "Timings", "To the first token", ">activation</span>"):
            assert shown in page.text
        before = len(alice.list(limit=100).items)
        remembered = client.post("/n/alice/playground", data=form | {"remember": "true"})
        assert "Remembered in" in remembered.text
        assert len(alice.list(limit=100).items) > before
        charts = client.get("/charts").text
        assert "Seconds saved" in charts
        assert "Prompt tokens not computed" in charts
        reader, _ = memory.make_key("reader", namespaces=["alice"], verbs=["read"])
        asked = client.get(
            "/n/alice/playground", headers={"Authorization": f"Bearer {reader}"}
        ).text
        assert "Ask the model" not in asked
