"""Pages from the server on the simulated board of a real box, and what comes back of them."""

from __future__ import annotations

import base64
import io
import json
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.station import Station, a_station

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PAGE = {"id": "cho-phien", "title": "Chợ phiên", "text": "Thứ Bảy và Chủ nhật.", "dwell_s": 3600}
BOARD = {"width_px": 192, "height_px": 64, "pitch_mm": 10, "viewing_m": 15, "colours": "full"}


def authority(station: Station) -> dict[str, str]:
    token = (station.folder / "server" / "operator.token").read_text(encoding="utf-8").strip()
    return {"Authorization": f"Bearer {token}"}


def put(station: Station, path: str, body: Any) -> Any:
    return sent(station, "PUT", path, body)[0]


def sent(station: Station, method: str, path: str, body: Any) -> tuple[Any, bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {**authority(station), "Content-Type": "application/json"}
    request = urllib.request.Request(station.api.url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        raw = answer.read()
        return (json.loads(raw) if "json" in answer.headers["Content-Type"] else None), raw


def board(station: Station) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = station.api.get("/api/v1/boards")["boards"]
    return found[0] if found else None


def shown(station: Station, page: str) -> dict[str, Any] | None:
    one = board(station)
    return one if one is not None and one["board"]["page"] == page else None


def job(station: Station, action: str, **arguments: object) -> dict[str, Any]:
    path = f"/api/v1/boxes/{station.boxes['box']}/jobs"
    name = station.api.post(path, {"action": action, "arguments": arguments})["id"]

    def done() -> dict[str, Any] | None:
        one: dict[str, Any] = station.api.get(f"/api/v1/jobs/{name}")["boxes"][0]
        final = one["state"] in {"succeeded", "failed", "rejected", "timed_out"}
        return {**one, "job": name} if final else None

    return station.wait(f"{action} done", 30, done)


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def test_a_page_with_a_picture_reaches_the_board_and_is_proved(tmp_path: Path) -> None:
    with a_station(tmp_path) as station:
        station.add_box()
        stream = io.BytesIO()
        Image.linear_gradient("L").resize((300, 200)).convert("RGB").save(stream, "PNG")
        picture, _ = sent(station, "POST", "/api/v1/pictures?title=Ch%E1%BB%A3", stream.getvalue())
        page = {**PAGE, "picture": picture["id"]}
        put(station, "/api/v1/board-pages", {"pages": [page]})
        said = station.wait("the page on the board", 30, lambda: shown(station, "cho-phien"))
        assert said["board"]["reason"] == "playlist"
        assert said["board"]["mine"]
        assert said["issues"] == []

        def same() -> bool | None:
            """The board's own picture is the preview's, unless the minute turned between the two."""
            now = datetime.now(UTC).replace(second=1)
            done = job(station, "screenshot")
            assert done["state"] == "succeeded", done
            request = {"page": page, "board": BOARD, "now": now.isoformat()}
            _, preview = sent(station, "POST", "/api/v1/board-preview", request)
            taken = base64.b64decode(done["result"]["png"])
            path = f"/api/v1/jobs/{done['job']}/boxes/{station.boxes['box']}/picture"
            again = urllib.request.Request(station.api.url + path, headers=authority(station))
            with urllib.request.urlopen(again, timeout=10) as answer:
                assert answer.read() == taken
            return pixels(preview) == pixels(taken) or None

        station.wait("preview and board the same", 60, same)

        pattern = job(station, "board_pattern", pattern="grid", minutes=5)
        assert pattern["state"] == "succeeded", pattern
        station.wait("the test picture", 20, lambda: (board(station) or {})["board"]["reason"] == "pattern")
        assert job(station, "board_pattern", pattern="")["state"] == "succeeded"
        station.wait("the page again", 20, lambda: shown(station, "cho-phien"))

        def proved() -> dict[str, Any] | None:
            path = f"/api/v1/boxes/{station.boxes['box']}/screens"
            rows = station.api.get(path)["screens"]
            return next((one for one in rows if one["report"]["page"] == "cho-phien"), None)

        row = station.wait("a screen report", 90, proved)
        assert row["picture"] is not None
        assert row["report"]["shown_s"] > 0


def test_a_commercial_board_is_taken_over_and_handed_back(tmp_path: Path) -> None:
    with a_station(tmp_path) as station:
        station.add_box()
        station.kill("box")
        config = station.folder / "box" / "config.toml"
        text = config.read_text(encoding="utf-8")
        config.write_text(
            text.replace('id = "board"\n', 'id = "board"\nowner = "commercial"\n'), encoding="utf-8"
        )
        put(station, "/api/v1/board-pages", {"pages": [PAGE]})
        station.start_box()

        def owners() -> bool | None:
            one = board(station)
            return (one is not None and not one["board"]["mine"]) or None

        station.wait("the board left to its owner", 40, owners)
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        body = {"all": True, "reason": "Bão số 9", "until": until}
        taken = station.api.post("/api/v1/takeovers", body)["id"]
        said = station.wait("taken over", 20, lambda: shown(station, "cho-phien"))
        assert said["takeover"] == taken
        station.api.post(f"/api/v1/takeovers/{taken}/cancel", {})
        station.wait("handed back", 20, owners)
        assert (board(station) or {})["takeover"] is None
