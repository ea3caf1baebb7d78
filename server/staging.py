"""In the background: the built-in messages become levelled recordings on every box, once per language."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from agent.model.messages import BuiltIn
from agent.wire.orders import EmergencyEvent, StagedMessage
from server.builtin import built_in, built_in_languages
from server.media.library import Library
from server.problems import RefusedError, StoreFailedError
from server.station import LANGUAGES, STAGED, StationRules
from server.store.content import media_ref

logger = logging.getLogger(__name__)

AUTHOR = "server"
DEFAULT_LANGUAGES = ("vi",)
START_AFTER_S = 30.0
"""Speaking and levelling keeps a small machine busy for half a minute; the first orders go before."""

BETWEEN_S = 1.0
RETRY_AFTER_S = 600.0


async def keep_staged(
    rules: StationRules,
    library: Library,
    *,
    start_after_s: float = START_AFTER_S,
    retry_after_s: float = RETRY_AFTER_S,
) -> None:
    """Record what is missing, at the start and whenever the station's languages change."""
    await asyncio.sleep(start_after_s)
    while True:
        rules.languages_changed.clear()
        try:
            await stage_missing(rules, library)
        except (RefusedError, StoreFailedError) as error:
            logger.error("messages for emergencies not recorded yet: %s", error)  # noqa: TRY400 - expected
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(retry_after_s):
                    await rules.languages_changed.wait()
        else:
            await rules.languages_changed.wait()


async def stage_missing(rules: StationRules, library: Library, between_s: float = BETWEEN_S) -> None:
    """Record the built-in messages of the station's languages that were never recorded before.

    What cannot be spoken here is left out: boxes speak it themselves. Recordings that people made stay.
    """
    done, wanted = await rules.get(STAGED), await rules.get(LANGUAGES)
    languages = (wanted.value if wanted is not None else ()) or DEFAULT_LANGUAGES
    missing = [one for one in languages if one not in (done.value if done is not None else ())]
    for language in missing:
        found: list[StagedMessage] = []
        for event in EmergencyEvent:
            known = built_in(event, language) if language in built_in_languages() else None
            message = await _recorded(library, event, language, known) if known is not None else None
            if message is not None:
                found.append(message)
                await asyncio.sleep(between_s)
        await rules.add_messages(language, found, AUTHOR)
        logger.info("%d messages for emergencies recorded in language %s", len(found), language)


async def _recorded(
    library: Library, event: EmergencyEvent, language: str, known: BuiltIn
) -> StagedMessage | None:
    try:
        row = await library.speech(known.text, language, known.title)
    except (RefusedError, RuntimeError, OSError) as error:
        logger.warning("message %s in %s not recorded: %s", event.value, language, error)
        return None
    return StagedMessage(event=event, language=language, text=known.text, media=media_ref(row))
