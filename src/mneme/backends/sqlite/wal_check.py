"""Whether a log that a dead process left holds acknowledged changes that SQLite would drop.

SQLite reads a log (https://sqlite.org/fileformat2.html#walformat) up to the first frame whose
checksum fails, and drops the rest without a word. For a torn last commit that is right. But each
commit is synced before the next one begins: where a whole commit frame is followed by a frame whose
checksum continues from it, that commit was acknowledged, and a broken frame before it is damage.
A break within the last commit cannot be told from a torn one: nothing was written after it.

Every step of the checksum is linear modulo 2**32, so a frame's is one product of its words.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import apsw
import numpy as np

from mneme.core.errors import StoreCorruptError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    Words = npt.NDArray[np.uint32]

_HEADER, _FRAME = 32, 24
_MAGIC = 0x377F0682  # its last bit tells the byte order of the checksums
_USUAL_PAGE = 4096
_MOST_BYTES = 32 << 20  # a log is folded at 8 MiB unless a reader holds it up
_PAGES = frozenset(1 << power for power in range(9, 17))
_STEP = np.array([[1, 1], [1, 2]], np.uint32)
_TAKE = np.array([[1, 0], [1, 1]], np.uint32)


def refuse_broken_log(path: Path) -> None:
    """Look at the log of a database that no process has open; where one has, do not judge.

    Raises:
        StoreCorruptError: The log is damaged in front of acknowledged changes.
    """
    log = path.resolve().with_name(f"{path.name}-wal")
    if not log.exists() or log.stat().st_size <= _HEADER or "unix" not in apsw.vfs_names():
        return
    flags = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE
    try:
        file = apsw.VFSFile("unix", str(path.resolve()), [flags, 0])
    except apsw.Error:  # cannot be written, or is not there: opening it will say so
        return
    try:
        file.xLock(apsw.SQLITE_LOCK_SHARED)
        file.xLock(apsw.SQLITE_LOCK_EXCLUSIVE)  # keeps everybody out until the log is read
        with log.open("rb") as opened:
            damaged = first_damage(opened.read(_MOST_BYTES))
    except apsw.BusyError:
        return
    finally:
        file.xUnlock(apsw.SQLITE_LOCK_NONE)
        file.xClose()
    if damaged is not None:
        raise StoreCorruptError(
            f"{log} is damaged at frame {damaged}, in front of changes that were acknowledged; "
            "keep a copy of the folder and go back to the newest snapshot"
        )


def first_damage(log: bytes) -> int | None:
    """The number of the frame (0: the header) whose damage hides acknowledged commits, or None."""
    if len(log) < _HEADER:
        return None
    header = np.frombuffer(log[:_HEADER], ">u4").astype(np.uint32)
    big = bool(header[0] & 1)
    sound = header[0] & ~np.uint32(1) == _MAGIC and int(header[2]) in _PAGES
    if not sound or tuple(_sums(log[:24], big=big)) != tuple(header[6:8]):
        return 0 if _header_was_whole(log, header) else None
    frames = Frames.of(log, int(header[2]), big=big)
    follows = frames.follows(header[6:8])
    broken = np.flatnonzero(~(follows & frames.salted(header[4:6])))
    if not len(broken):
        return None
    first = int(broken[0])
    before = frames.sums[first - 1] if first else header[6:8]
    return first + 1 if _is_before_commits(frames, first, before, header[4:6]) else None


def _is_before_commits(frames: Frames, first: int, before: Words, salts: Words) -> bool:
    """Whether a commit that was whole, and hence synced, ends at the broken frame or after it."""
    wanted = frames.after(before, first)
    if first + 1 < len(frames.sums) and frames.salted(salts)[first + 1]:
        was_commit = _was_commit(frames, first, wanted)
        next_sum = frames.sums[first + 1]
        continued = frames.follows(before)[first + 1] or np.array_equal(
            frames.after(wanted, first + 1), next_sum
        )
        if was_commit and continued:
            return True
    whole = frames.follows(before) & frames.salted(salts)
    ends = (frames.truncates > 0) & frames.salted(salts)
    return bool(np.any(ends[first + 1 : -1] & whole[first + 2 :]))


def _was_commit(frames: Frames, number: int, wanted: Words) -> bool:
    """Whether a broken frame ended a commit.

    Where another size field would mend the checksum, that field is what broke: so it is if the size
    is 0, or between those of the commits around. Any other value fits by chance.
    """
    column = _weights(frames.words.shape[1] // 2)[1]
    missing = frames.sums[number] - wanted
    odd = int(np.flatnonzero(column & 1)[0])
    change = np.uint32(int(missing[odd]) * pow(int(column[odd]), -1, 1 << 32) % (1 << 32))
    said = int(frames.truncates[number])
    if not np.array_equal(column * change, missing):
        return said != 0
    word = (int(frames.words[number, 1]) + int(change)) % (1 << 32)
    size = int.from_bytes(word.to_bytes(4, "little" if frames.swapped else "big"), "big")
    earlier, later = frames.truncates[:number], frames.truncates[number + 1 :]
    least = int(earlier[earlier > 0][-1]) if earlier.any() else 1
    most = int(later[later > 0][0]) if later.any() else 0
    return least <= size <= most if said == 0 else size != 0


def _header_was_whole(log: bytes, header: Words) -> bool:
    """Whether the first frame continues a header that is broken now: it was synced before it."""
    said = int(header[2])
    for size in {said, _USUAL_PAGE} & _PAGES:
        for big in (False, True):
            frames = Frames.of(log, size, big=big)
            seeds = (header[6:8], _sums(log[:24], big=big))
            if len(frames.sums) and any(frames.follows(seed)[0] for seed in seeds):
                return True
    return False


class Frames(NamedTuple):
    """The frames of a log.

    truncates: The size of the database after the commit that the frame ends; 0 within one.
    salts, sums: Two words for each frame.
    words: What the checksum covers: two words of the frame's header, and the page.
    swapped: Whether `words` are little-endian, unlike the fields of the header.
    """

    truncates: Words
    salts: Words
    sums: Words
    words: Words
    swapped: bool

    @classmethod
    def of(cls, log: bytes, page_size: int, *, big: bool) -> Frames:
        """The whole frames of a log."""
        count = (len(log) - _HEADER) // (page_size + _FRAME)
        table = np.frombuffer(log, np.uint8, count * (page_size + _FRAME), _HEADER)
        rows = table.reshape(count, page_size + _FRAME)
        head = rows[:, :_FRAME].copy().view(">u4").astype(np.uint32)
        covered = np.concatenate([rows[:, :8], rows[:, _FRAME:]], axis=1)
        words = covered.view(">u4" if big else "<u4").astype(np.uint32)
        return cls(head[:, 1], head[:, 2:4], head[:, 4:6], words, not big)

    def salted(self, salts: Words) -> npt.NDArray[np.bool_]:
        """Which frames are of the generation of these salts."""
        same: npt.NDArray[np.bool_] = (self.salts == salts).all(axis=1)
        return same

    def follows(self, seed: Words) -> npt.NDArray[np.bool_]:
        """Which frames' checksums continue from what the frame before says; the first from seed."""
        pairs = self.words.shape[1] // 2
        before = np.concatenate([seed[None], self.sums[:-1]])
        wanted = before @ _power(pairs).T + self.words @ _weights(pairs)
        same: npt.NDArray[np.bool_] = (wanted == self.sums).all(axis=1)
        return same

    def after(self, before: Words, number: int) -> Words:
        """The checksum of a frame that comes after a checksum."""
        pairs = self.words.shape[1] // 2
        wanted: Words = _power(pairs) @ before + self.words[number] @ _weights(pairs)
        return wanted


def _sums(data: bytes, *, big: bool) -> Words:
    words = np.frombuffer(data, ">u4" if big else "<u4").astype(np.uint32)
    sums: Words = words @ _weights(len(words) // 2)
    return sums


@cache
def _weights(pairs: int) -> Words:
    """[2 * pairs, 2]: what each word adds to the two sums."""
    columns = list(_powers(pairs))[::-1]
    weights: Words = np.concatenate([(power @ _TAKE).T for power in columns])
    return weights


@cache
def _power(count: int) -> Words:
    power = np.eye(2, dtype=np.uint32)
    for _ in range(count):
        power = _STEP @ power
    return power


def _powers(count: int) -> Iterator[Words]:
    power = np.eye(2, dtype=np.uint32)
    for _ in range(count):
        yield power
        power = _STEP @ power
