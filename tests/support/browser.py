"""Headless Chromium driven by the DevTools protocol. Source: chromedevtools.github.io/devtools-protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
START_LIMIT_S = 40.0
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)


class Page:
    """One tab."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        number = next(self._numbers)
        await self._line.send_json({"id": number, "method": method, "params": params})
        while True:
            said = await self._line.receive_json(timeout=30)
            if said.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded"}:
                self.complaints.append(json.dumps(said["params"])[:600])
            if said.get("id") == number:
                assert "error" not in said, said
                return dict(said["result"])

    async def run(self, script: str) -> Any:
        """Value of an expression, run as if a person had just clicked."""
        said = await self.send(
            "Runtime.evaluate", expression=script, userGesture=True, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    async def until(self, script: str, limit_s: float = 20.0) -> Any:
        """Ask until the expression is true."""
        try:
            async with asyncio.timeout(limit_s):
                while not (value := await self.run(script)):
                    await asyncio.sleep(0.05)
                return value
        except TimeoutError:
            shown = await self.run("document.body.innerText")
            raise AssertionError(f"never true: {script}\n{shown}\n{self.complaints}") from None

    async def open(self, url: str) -> None:
        """Go there and wait for the whole page."""
        await self.send("Page.navigate", url=url)
        await self.until(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    async def picture(self, path: Path) -> None:
        """What is shown, as PNG."""
        shot = await self.send("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def chromium(folder: Path, microphone: Path, *flags: str) -> AsyncIterator[Page]:
    """A fresh browser whose microphone plays a WAV file again and again."""
    profile = folder / "profile"
    child = await asyncio.create_subprocess_exec(
        *(CHROMIUM, *_FLAGS, f"--use-file-for-fake-audio-capture={microphone}"),
        *(f"--user-data-dir={profile}", *flags, "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_LIMIT_S):
            while not (profile / "DevToolsActivePort").exists():
                assert child.returncode is None, "chromium ended"
                await asyncio.sleep(0.05)
        port = (profile / "DevToolsActivePort").read_text().split()[0]
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json") as answer:
                [tab] = [one for one in await answer.json() if one["type"] == "page"]
            async with http.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as line:
                page = Page(line)
                for domain in ("Page", "Runtime", "Log"):
                    await page.send(f"{domain}.enable")
                yield page
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
