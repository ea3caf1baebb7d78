import os
import stat
from pathlib import Path

import pytest

from agent.errors import Retry
from agent.source.identity import Identity, IdentityError, load_identity, save_identity
from agent.wire.device_api import BrokerAddress, EnrolAnswer, Place

SECRET = "s" * 43
ME = Identity(
    url="https://nguon.example.vn/",
    enrolled=EnrolAnswer(
        device="hop-loa-0001",
        secret=SECRET,
        broker=BrokerAddress(host="nguon.example.vn", port=8883, tls=True),
        place=Place(station="xa-mau", province="tinh-mau", groups=("xa-mau",)),
        root="{}",
    ),
)


def test_identity_is_kept_owner_only_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "identity.json"
    save_identity(path, ME)
    assert load_identity(path) == ME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_box_never_paired_has_none(tmp_path: Path) -> None:
    assert load_identity(tmp_path / "identity.json") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"url": "https://x"}', b"\0" * 4096])
def test_damaged_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "identity.json"
    path.write_bytes(content)
    with pytest.raises(IdentityError, match="pair the box again") as caught:
        load_identity(path)
    assert str(path) in str(caught.value)
    assert caught.value.retry is Retry.NEVER


def test_error_never_shows_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    path.write_bytes(ME.encode().replace(b'"port":8883', b'"port":"' + SECRET.encode() + b'"'))
    with pytest.raises(IdentityError) as caught:
        load_identity(path)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(ME)
    assert SECRET not in repr(ME.account())


def test_file_others_could_read_is_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "identity.json"
    save_identity(path, ME)
    path.chmod(0o644)
    assert load_identity(path) == ME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "could be read by others" in caplog.text


def test_failed_save_leaves_the_former_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "identity.json"
    save_identity(path, ME)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(IdentityError, match="No space left"):
        save_identity(path, ME.model_copy(update={"url": "https://other.example.vn"}))
    assert load_identity(path) == ME


def test_configured_address_goes_before_the_one_of_the_pairing() -> None:
    assert ME.account().base_url == "https://nguon.example.vn"
    assert ME.account("http://10.0.0.1:8080").base_url == "http://10.0.0.1:8080"
