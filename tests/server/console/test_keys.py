"""Who looks after some namespaces sees no page of the whole store, and changes no key there."""

from collections.abc import Iterator

import httpx2
import pytest

from mneme.app.memory import MemoryOS
from mneme.testing.doors import Door


@pytest.fixture
def steward(memory: MemoryOS, door: Door) -> Iterator[httpx2.Client]:
    """Admin of one namespace."""
    key, _ = memory.make_key("steward", namespaces=["team"], verbs=["*", "admin"])
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/html", "Origin": door.url}
    with httpx2.Client(base_url=door.url, headers=headers) as client:
        yield client


@pytest.mark.parametrize("path", ["/audit", "/keys", "/store", "/jobs", "/charts"])
def test_pages_of_the_store_are_refused(steward: httpx2.Client, path: str) -> None:
    assert steward.get(path).status_code == 403
    assert f'href="{path}"' not in steward.get("/").text


def test_a_steward_makes_takes_and_drops_no_key(memory: MemoryOS, steward: httpx2.Client) -> None:
    _, other = memory.make_key("other", namespaces=["*"])
    before = memory.list_keys()
    wide = {"name": "mine", "namespaces": "*", "verbs": ["*", "admin"]}
    for path, form in (
        ("/keys", wide),
        (f"/keys/{other.id}/rotate", {}),
        (f"/keys/{other.id}/revoke", {"confirm": "yes"}),
        ("/audit/verify", {}),
    ):
        assert steward.post(path, data=form).status_code == 403
    assert memory.list_keys() == before
