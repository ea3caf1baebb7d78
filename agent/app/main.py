"""`loa run`: configuration in, a running box out; stops on SIGTERM with everything in its safe state."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from agent import log
from agent.app.box import build_box
from agent.config import BoxSection, Config, load_to_run
from agent.errors import AgentError, ConfigError, Retry, StoreError
from agent.lifecycle import run_until
from agent.store.store import Store
from agent.systemd import Notifier
from drivers.api import DriverSetupError

logger = logging.getLogger(__name__)

EX_CONFIG = 78


class AlreadyRunningError(AgentError):
    """Two agents on one box would say everything twice."""

    retry = Retry.NEVER


STOP_LIMIT_S = 4.5
"""An ordered stop ends the process after this time at the latest; the hardware's pulls do the rest."""

LAST_GOOD = "config.last-good.toml"


def run_agent(path: Path) -> int:
    """Run the box described by the configuration at `path` until SIGTERM or SIGINT.

    Returns:
        0 after an ordered stop, 78 when neither this configuration nor an earlier one can be used,
        1 when a vital part failed.
    """
    log.set_up(os.environ.get("LOA_LOG", "INFO"))
    try:
        return _run_once(load_to_run(path), None, path)
    except ConfigError as error:
        mistake = error
    except DriverSetupError as error:
        mistake = ConfigError(str(path), [str(error)])
    logger.error("configuration refused: %s", mistake)
    earlier = _last_good()
    if earlier is None:
        return EX_CONFIG
    try:
        return _run_once(earlier, mistake, path)
    except DriverSetupError as error:
        logger.error("the earlier configuration cannot be used either: %s", error)  # noqa: TRY400
        return EX_CONFIG


def _run_once(config: Config, mistake: ConfigError | None, path: Path) -> int:
    try:
        asyncio.run(_run(config, mistake, path))
    except DriverSetupError:
        raise
    except AlreadyRunningError as error:
        logger.error("%s", error)  # noqa: TRY400
        return 1
    except Exception:
        logger.exception("a vital part failed")
        return 1
    return 0


def _last_good() -> Config | None:
    """The configuration of the last run that started, so that a bad push does not silence a site."""
    folder = Path(os.environ.get("STATE_DIRECTORY", str(BoxSection().data_dir)).split(":")[0])
    try:
        config = load_to_run(folder / LAST_GOOD)
    except ConfigError as error:
        logger.error("no earlier configuration to fall back to: %s", error)  # noqa: TRY400
        return None
    logger.warning("running with the last configuration that worked, %s", folder / LAST_GOOD)
    return config


def _keep_as_good(path: Path, folder: Path) -> None:
    fresh = folder / f".{LAST_GOOD}.new"
    with contextlib.suppress(OSError):
        fresh.write_bytes(path.read_bytes())
        fresh.replace(folder / LAST_GOOD)


async def _run(config: Config, mistake: ConfigError | None, path: Path) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def order_stop() -> None:
        if not stop.is_set():
            logger.info("stop ordered")
            loop.call_later(STOP_LIMIT_S, _give_up)
        stop.set()

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, order_stop)
    notifier = Notifier()
    for folder in (config.box.data_dir, config.box.runtime_dir):
        folder.mkdir(parents=True, exist_ok=True)
    with _alone(config.box.data_dir):
        await _live(config, mistake, path, stop, notifier)
    logger.info("stopped")


async def _live(
    config: Config, mistake: ConfigError | None, path: Path, stop: asyncio.Event, notifier: Notifier
) -> None:
    async with _memory(config) as store:
        box = await build_box(config, store, notifier, mistake)
        if mistake is None:
            await asyncio.to_thread(_keep_as_good, path, config.box.data_dir)
        notifier.send(READY="1", STATUS=box.status_line())
        try:
            await run_until(stop, box.services(), box.clock, box.service_failed)
        finally:
            notifier.send(STOPPING="1")
            await box.close()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the box's data for this process; the kernel lets go when it dies.

    Raises:
        AlreadyRunningError: another agent uses the folder.
    """
    with (folder / ".lock").open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(f"another agent already runs on {folder}: stop it first") from error
        yield


def _give_up() -> None:
    logger.error("stop took longer than %.1f s: leaving at once", STOP_LIMIT_S)
    os._exit(1)


@contextlib.asynccontextmanager
async def _memory(config: Config) -> AsyncIterator[Store]:
    """The box's database; where the card refuses it, one that lasts until the next boot."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(Store.open(config.box.data_dir / "loa.db"))
        except StoreError as error:
            logger.error("database cannot be used, going on without memory: %s", error)  # noqa: TRY400
            store = await stack.enter_async_context(Store.open(config.box.runtime_dir / "loa-volatile.db"))
            store.recovered = str(error)
        yield store
