import pytest

from mneme.core.errors import InvalidInputError
from mneme.settings import Settings


def test_the_environment_changes_what_it_names() -> None:
    settings = Settings.from_environment(
        {
            "MNEME_EMBEDDER": "none",
            "MNEME_MAX_TURN_BYTES": "1000",
            "MNEME_WORKER": "no",
            "MNEME_BUSY_TIMEOUT_S": "2.5",
            "MNEME_TIMEZONE": "Europe/Oslo",
            "HOME": "/nowhere",
            "MNEME_UNKNOWN": "is left alone",
        }
    )
    assert settings.embedder == "none"
    assert settings.max_turn_bytes == 1000
    assert settings.worker is False
    assert settings.busy_timeout_s == 2.5
    assert str(settings.zone) == "Europe/Oslo"


@pytest.mark.parametrize(
    "environment",
    [
        {"MNEME_WORKER": "perhaps"},
        {"MNEME_MAX_TURN_BYTES": "many"},
        {"MNEME_MAX_TURN_BYTES": "0"},
        {"MNEME_TIMEZONE": "Mars/Olympus"},
        {"MNEME_KV_FORM": "int3"},
        {"MNEME_KV_BLOCK_TOKENS": "0"},
        {"MNEME_KV_VERIFY": "2"},
        {"MNEME_KV_EVICTION": "random"},
        {"MNEME_TIMEZONE": "../../etc/passwd"},
    ],
)
def test_what_cannot_be_a_setting_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        Settings.from_environment(environment)


def test_a_key_is_never_shown() -> None:
    assert "s3cret" not in repr(Settings(embedder_key="s3cret"))
    assert "s3cret" not in repr(Settings(kv_remote="redis://:s3cret@127.0.0.1:6379"))
