"""Blobs in a folder, and in memory."""

import os
import resource
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from mneme.backends.blobs.folder import FolderBlobs
from mneme.core.errors import BackendUnavailableError, StoreFullError
from mneme.testing.blob_contract import NAMES, BlobStoreContract, got
from mneme.testing.blobs import MemoryBlobs


class TestFolderBlobs(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderBlobs:
        return FolderBlobs(tmp_path / "blobs")


class TestMemoryBlobs(BlobStoreContract):
    @pytest.fixture
    def store(self) -> MemoryBlobs:
        return MemoryBlobs()


@pytest.fixture
def folder(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path)


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def test_two_of_the_same_folder_see_the_same(tmp_path: Path) -> None:
    one, other = FolderBlobs(tmp_path), FolderBlobs(tmp_path)
    one.put({"ab-raw": b"data"})
    assert got(other, ["ab-raw"]) == [b"data"]
    other.drop(["ab-raw"])
    assert got(one, ["ab-raw"]) == [None]


def test_files_are_fanned_out_and_private(tmp_path: Path, folder: FolderBlobs) -> None:
    folder.put({"abc-raw": b"data"})
    assert files(tmp_path) == ["ab/abc-raw"]
    assert (tmp_path / "ab/abc-raw").stat().st_mode & 0o077 == 0


LITTLE_ROOM = """
import resource, signal, sys
from pathlib import Path
from mneme.backends.blobs.folder import FolderBlobs
from mneme.core.errors import StoreFullError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))  # no file grows beyond it
store = FolderBlobs(Path(sys.argv[1]))
store.put({"ab-raw": b"old"})
try:
    store.put({"cd-raw": b"fits", "ab-raw": b"x" * 2_000, "ef-raw": b"not reached"})
except StoreFullError as error:
    print(error)
"""


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, folder: FolderBlobs) -> None:
    said = subprocess.run(  # a limit of this process would hold for its own log, too
        [sys.executable, "-c", LITTLE_ROOM, str(tmp_path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "no room" in said.stdout
    assert got(folder, ["ab-raw", "cd-raw", "ef-raw"]) == [b"old", b"fits", None]
    assert files(tmp_path) == ["ab/ab-raw", "cd/cd-raw"]


FULL = """
import sys
from pathlib import Path
from mneme.backends.blobs.folder import FolderBlobs
from mneme.core.errors import StoreFullError
store = FolderBlobs(Path(sys.argv[1]))
try:
    for number in range(100):
        store.put({f"{number:02d}": b"x" * 50_000})
except StoreFullError:
    print(len(list(store.names())), len(list((Path(sys.argv[1]) / ".tmp").iterdir())))
"""


def test_a_full_file_system(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("may not mount a small file system here")
    try:
        said = subprocess.run(
            [sys.executable, "-c", FULL, str(tmp_path)], check=True, capture_output=True, text=True
        )
        kept, left = map(int, said.stdout.split())
        assert 15 <= kept <= 20
        assert left == 0
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BackendUnavailableError, match="cannot be used"):
        FolderBlobs(tmp_path / "file" / "blobs")


def test_a_folder_is_made_with_its_first_file_and_again_if_it_went(tmp_path: Path) -> None:
    folder = FolderBlobs(tmp_path / "blobs")
    for _ in range(2):
        assert not (tmp_path / "blobs").exists()
        assert got(folder, ["ab-raw"]) == [None]
        assert list(folder.names()) == []
        folder.drop(["ab-raw"])
        folder.put({"ab-raw": b"data"})
        assert got(folder, ["ab-raw"]) == [b"data"]
        shutil.rmtree(tmp_path / "blobs")


def test_what_is_no_file_is_not_there(tmp_path: Path, folder: FolderBlobs) -> None:
    (tmp_path / "ab" / "abfolder").mkdir(parents=True)
    os.mkfifo(tmp_path / "ab" / "abpipe")
    (tmp_path / "ab" / "ablink").symlink_to("/etc/hostname")
    (tmp_path / "cd").write_bytes(b"a file where a folder should be")
    assert got(folder, ["abfolder", "abpipe", "ablink", "cdx"]) == [None] * 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_not_there(tmp_path: Path, folder: FolderBlobs) -> None:
    folder.put({"ab-raw": b"data"})
    (tmp_path / "ab" / "ab-raw").chmod(0)
    assert got(folder, ["ab-raw"]) == [None]
    folder.put({"ab-raw": b"again"})
    assert got(folder, ["ab-raw"]) == [b"again"]


def test_out_of_file_handles_is_no_missing_file(folder: FolderBlobs) -> None:
    folder.put({"ab-raw": b"data"})
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        with suppress(OSError):
            while True:
                held.append(os.open("/", os.O_RDONLY))
        with pytest.raises(BackendUnavailableError):
            folder.get(["ab-raw"])
    finally:
        for handle in held:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert got(folder, ["ab-raw"]) == [b"data"]


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path, folder: FolderBlobs) -> None:
    folder.put({"ab-raw": b"data"})
    (tmp_path / "ab" / ".nfs001").write_bytes(b"")
    (tmp_path / "a note.txt").write_bytes(b"")
    assert list(folder.names()) == ["ab-raw"]


KILLED = """
import fcntl, os, sys, time
from pathlib import Path
from mneme.backends.blobs import folder
def stuck(handle, data):
    os.write(handle, data[:10])
    print("writing", flush=True)
    time.sleep(60)
folder._write_all = stuck
folder.FolderBlobs(Path(sys.argv[1])).put({"ab-raw": b"x" * 100})
"""


def test_what_a_killed_writer_left_is_removed_and_what_a_live_one_writes_is_not(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        blobs = FolderBlobs(tmp_path)
        assert len(list((tmp_path / ".tmp").iterdir())) == 1
        writer.kill()
        writer.wait()
    blobs.drop([])
    assert files(tmp_path) == []
    assert got(blobs, ["ab-raw"]) == [None]


def test_writers_and_droppers_at_once(tmp_path: Path) -> None:
    """Whoever drops removes what dead writers left, and never what another writes."""
    errors: list[Exception] = []

    def write(number: int) -> None:
        mine = FolderBlobs(tmp_path)
        try:
            for turn in range(50):
                mine.put({f"{number}{turn}": b"x" * 1000})
                mine.drop([f"{number}{turn - 1}"] if turn else [])
        except BackendUnavailableError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(FolderBlobs(tmp_path).names()) == ["049", "149", "249", "349"]


def test_the_fake_is_full_and_down_when_told() -> None:
    fake = MemoryBlobs(room_bytes=10)
    fake.put({"a": b"x" * 10})
    fake.put({"a": b"y" * 10})
    with pytest.raises(StoreFullError):
        fake.put({"b": b"x"})
    fake.down = True
    with pytest.raises(BackendUnavailableError):
        fake.get(NAMES)
