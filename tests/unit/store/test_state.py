from __future__ import annotations

from typing import Any

import pytest

from agent.store import Store


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "Tiếng Làng", [1, ["a"]], {"a": {"b": None}}])
async def test_a_value_is_read_back_as_it_was_put(store: Store, value: Any) -> None:
    await store.put_state({"key": value})
    assert await store.get_state("key") == value


async def test_values_and_documents_are_replaced_together(store: Store) -> None:
    await store.put_state({"a": 1, "b": 2}, {"doc": b"\x00\xff"})
    await store.put_state({"a": 3}, {"doc": None, "other": b""})
    assert [await store.get_state(key) for key in ("a", "b", "c")] == [3, 2, None]
    assert [await store.get_blob(name) for name in ("doc", "other")] == [None, b""]


async def test_a_value_that_is_no_json_spoils_the_whole_change(store: Store) -> None:
    await store.put_state({"a": 1})
    with pytest.raises(TypeError):
        await store.put_state({"a": 2, "b": object()})  # type: ignore[dict-item]
    assert await store.get_state("a") == 1


async def test_a_large_document_is_kept(store: Store) -> None:
    document = bytes(range(256)) * 4096 * 4
    await store.put_blob("schedule", document)
    assert await store.get_blob("schedule") == document
    await store.put_blob("schedule", None)
    assert await store.get_blob("schedule") is None
