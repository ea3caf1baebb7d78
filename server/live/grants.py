"""Live grants through the orders of the station."""

from __future__ import annotations

from agent.model.bulletin import LiveSource
from server.live.announcements import Announcement
from server.order_drafts import GrantDraft
from server.orders import Orders


class OrderGrants:
    """Signs and withdraws grants; boxes find the sound below this server's own address."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    async def give(self, announcement: Announcement) -> str:
        """Sign and push the grant; its id.

        Raises:
            RefusedError: it may not be given.
            StoreFailedError: it could not be kept.
        """
        draft = announcement.draft
        asked = GrantDraft(
            source=LiveSource.STREAM,
            speaker=draft.speaker,
            author=draft.speaker,
            devices=draft.devices,
            groups=draft.groups,
            all=draft.everyone,
            minutes=draft.max_minutes,
        )
        return (await self._orders.grant(asked, announcement.author)).id

    async def withdraw(self, order: str, author: str) -> None:
        """End a grant.

        Raises:
            RefusedError: there is none.
            StoreFailedError: it could not be kept.
        """
        await self._orders.end_grant(order, author)
