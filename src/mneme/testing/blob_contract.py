"""What every place for blobs must do, as tests: subclass BlobStoreContract and run them on yours.

class TestMyBlobs(BlobStoreContract):
    @pytest.fixture
    def store(self):
        return MyBlobs(...)
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mneme.core.errors import InvalidInputError

if TYPE_CHECKING:
    from mneme.core.store import BlobStore

KEY = "0f" * 32
NAMES = (f"{KEY}-raw", f"{KEY}-leverage-0.50+int8", "a", "ab", "A.b_c@d+e-f", "0" * 200)
ILL_NAMES = (
    "",
    ".",
    "..",
    ".hidden",
    "-option",
    "a/b",
    "../a",
    "/etc/passwd",
    "a\\b",
    "a b",
    "a\n",
    "a\0",
    "ä",
    "٣",
    "a:b",
    "a*",
    "0" * 201,
)
_steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "drop"]),
        st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=50), max_size=3),
    ),
    max_size=12,
)


class BlobStoreContract:
    """Subclass it and give a `store` fixture that is empty for every test."""

    def test_what_was_put_is_got_in_the_order_of_the_names(self, store: BlobStore) -> None:
        store.put({name: name.encode() for name in NAMES})
        asked = [NAMES[3], NAMES[0], NAMES[3]]
        assert got(store, asked) == [name.encode() for name in asked]

    def test_what_was_not_put_is_none(self, store: BlobStore) -> None:
        store.put({NAMES[0]: b"one"})
        assert got(store, [NAMES[1], NAMES[0], NAMES[2]]) == [None, b"one", None]

    def test_nothing_asked_is_nothing_got(self, store: BlobStore) -> None:
        store.put({})
        store.drop([])
        assert store.get([]) == []

    def test_an_empty_blob_is_there(self, store: BlobStore) -> None:
        store.put({NAMES[0]: b""})
        assert got(store, [NAMES[0]]) == [b""]
        assert list(store.names()) == [NAMES[0]]

    def test_a_blob_takes_the_place_of_the_one_before(self, store: BlobStore) -> None:
        store.put({NAMES[0]: b"a longer one"})
        store.put({NAMES[0]: b"short"})
        assert got(store, [NAMES[0]]) == [b"short"]
        assert store.total_bytes() == 5

    def test_every_byte_comes_back_also_of_a_large_one(self, store: BlobStore) -> None:
        data = bytes(range(256)) * (5 * 2**12)  # 5 MiB
        store.put({NAMES[0]: data, NAMES[1]: bytes(range(256))})
        assert got(store, NAMES[:2]) == [data, bytes(range(256))]

    def test_what_was_dropped_is_gone_for_good(self, store: BlobStore) -> None:
        store.put({NAMES[0]: b"one", NAMES[1]: b"two"})
        store.drop(iter([NAMES[0], NAMES[2]]))  # one of them was never there
        assert got(store, NAMES[:3]) == [None, b"two", None]
        assert (list(store.names()), store.total_bytes()) == ([NAMES[1]], 3)

    def test_bytes_in_use_stay_as_they_are(self, store: BlobStore) -> None:
        data = b"x" * (5 << 20)
        store.put({NAMES[0]: data, NAMES[1]: b"small"})
        large, small = store.get(NAMES[:2])
        store.put({NAMES[0]: b"other"})
        store.drop(NAMES[:2])
        assert large is not None
        assert small is not None
        assert bytes(large) == data
        assert bytes(small) == b"small"

    def test_bytes_cannot_be_written_to(self, store: BlobStore) -> None:
        store.put({NAMES[0]: b"one", NAMES[1]: b"x" * (5 << 20)})
        assert all(view is not None and view.readonly for view in store.get(NAMES[:2]))

    def test_many_at_once(self, store: BlobStore) -> None:
        many = {f"{number:04x}-raw": number.to_bytes(2, "big") * 100 for number in range(500)}
        store.put(many)
        assert got(store, list(many)) == list(many.values())
        assert sorted(store.names()) == sorted(many)
        assert store.total_bytes() == 500 * 200
        store.drop(many)
        assert list(store.names()) == []

    @pytest.mark.parametrize("name", ILL_NAMES)
    def test_names_that_lead_elsewhere_are_refused(self, store: BlobStore, name: str) -> None:
        with pytest.raises(InvalidInputError):
            store.put({NAMES[0]: b"good", name: b"ill"})
        with pytest.raises(InvalidInputError):
            store.get([name])
        with pytest.raises(InvalidInputError):
            store.drop([name])
        assert list(store.names()) == []

    def test_threads_see_whole_blobs(self, store: BlobStore) -> None:
        versions = [bytes([number]) * 200_000 for number in range(4)]

        def write_and_read(data: bytes) -> bool:
            for _ in range(5):
                store.put({NAMES[0]: data})
                if got(store, NAMES[:1])[0] not in versions:
                    return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(write_and_read, versions))

    # The suite is inherited: each store runs this test with its own examples.
    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(steps=_steps)
    def test_behaves_like_a_dictionary(
        self, store: BlobStore, steps: list[tuple[str, dict[str, bytes]]]
    ) -> None:
        store.drop(list(store.names()))
        model: dict[str, bytes] = {}
        for verb, blobs in steps:
            if verb == "put":
                store.put(blobs)
                model.update(blobs)
            else:
                store.drop(blobs)
                model = {name: data for name, data in model.items() if name not in blobs}
        assert got(store, NAMES) == [model.get(name) for name in NAMES]
        assert sorted(store.names()) == sorted(model)
        assert store.total_bytes() == sum(map(len, model.values()))


def got(store: BlobStore, names: list[str] | tuple[str, ...]) -> list[bytes | None]:
    """What is there under the names, as bytes."""
    return [None if view is None else bytes(view) for view in store.get(names)]
