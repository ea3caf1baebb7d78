"""What people do to a box: done, kept over a power cut, and told with who asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from agent.field.controls import ControlRefusedError
from agent.model.bulletin import BulletinClass
from agent.model.schedule import Airing, Recurrence, Schedule
from agent.model.timetable import Timetable
from agent.playout.contracts import ZoneView
from agent.playout.ladder import Reason, Rung, Standing
from tests.unit.app.doubles import EAST, MAIN, NOON, Box
from tests.unit.model.schedules import a_programme

BY = "local:lan"


async def test_a_safety_stop_silences_all_zones_and_says_until_when() -> None:
    box = Box()
    assert await box.controls.safety_stop((), 30, BY) == NOON + timedelta(minutes=30)
    assert set(box.station.state.safety) == {MAIN, EAST}
    assert [one.amplifier.cuts for one in box.players.values()] == [1, 1]
    assert [one[:3] for one in box.told] == [("safety_stopped", "main", BY), ("safety_stopped", "east", BY)]


async def test_a_safety_stop_of_one_zone_leaves_the_other() -> None:
    box = Box()
    await box.controls.safety_stop(("east",), 5, BY)
    assert set(box.station.state.safety) == {EAST}
    assert box.players[MAIN].amplifier.cuts == 0
    await box.controls.safety_release((), BY)
    assert box.station.state.safety == {}
    assert box.told[-1][:3] == ("safety_released", "east", BY)


async def test_a_safety_stop_outlives_a_power_cut_with_what_was_left_of_it() -> None:
    before = Box()
    await before.controls.safety_stop(("main",), 10, BY)
    after = Box(before.state)
    await after.controls.restore()
    assert after.station.safety_left_s(MAIN) == pytest.approx(600)
    assert after.station.safety_left_s(EAST) == 0


async def test_a_released_stop_does_not_come_back_with_the_power() -> None:
    before = Box()
    await before.controls.safety_stop((), 10, BY)
    await before.controls.safety_release((), BY)
    after = Box(before.state)
    await after.controls.restore()
    assert after.station.state.safety == {}


async def test_volume_and_the_order_of_priorities_outlive_a_power_cut() -> None:
    before = Box()
    await before.controls.set_volume("east", -12.5, BY)
    await before.controls.set_priority_order(("b", "a"), BY)
    after = Box(before.state)
    await after.controls.restore()
    assert after.station.volume_db == {EAST: -12.5}
    assert after.station.preference == ("b", "a")


async def test_what_somebody_at_the_box_set_stands_against_the_server() -> None:
    box = Box()
    box.controls.server_order(("x", "y"))
    assert box.station.preference == ("x", "y")
    await box.controls.set_priority_order(("b", "a"), BY)
    box.controls.server_order(("x", "y"))
    assert box.station.preference == ("b", "a")


@pytest.mark.parametrize(
    "kept", [None, 7, {"volume_db": 3, "safety": [], "priority_order": "x"}, {"volume_db": {"main": "loud"}}]
)
async def test_what_was_kept_may_be_nonsense(kept: object) -> None:
    box = Box()
    box.state.kept = {"hands": kept}  # type: ignore[dict-item]
    await box.controls.restore()
    assert (box.station.volume_db, box.station.state.safety, box.station.preference) == ({}, {}, ())


async def test_a_failing_card_keeps_nobody_from_silencing_the_horns() -> None:
    box = Box()
    box.state.broken = True
    await box.controls.restore()
    await box.controls.safety_stop((), 5, BY)
    await box.controls.set_volume("main", -3, BY)
    assert set(box.station.state.safety) == {MAIN, EAST}
    assert box.station.volume_db == {MAIN: -3}


async def test_an_emergency_is_not_stopped_by_hand() -> None:
    box = Box()
    box.players[MAIN].view = ZoneView(Reason.DUE, rung=Rung.EMERGENCY)
    with pytest.raises(ControlRefusedError) as refused:
        await box.controls.stop("main", BY)
    assert refused.value.code == "emergency_on_air"
    assert box.players[MAIN].did == []
    assert box.told == []


async def test_stop_and_next_are_told_with_their_title() -> None:
    box = Box()
    assert await box.controls.stop("main", BY) == "Bản tin"
    assert await box.controls.next("east", BY) == "Bản tin"
    assert (box.players[MAIN].did, box.players[EAST].did) == (["stop"], ["next"])
    assert [one[1:] for one in box.told] == [("main", BY, "stopped Bản tin"), ("east", BY, "next Bản tin")]


async def test_stopping_silence_is_no_event() -> None:
    box = Box()
    box.players[MAIN].title = ""
    assert await box.controls.stop("main", BY) == ""
    assert box.told == []


async def test_a_pause_is_of_its_zone_and_ends() -> None:
    box = Box()
    await box.controls.pause("main", 10, BY)
    assert box.station.state.pauses == {MAIN: NOON + timedelta(minutes=10)}
    await box.controls.resume("main", BY)
    assert box.station.state.pauses == {}
    assert [one[3] for one in box.told] == ["paused for 10 minutes", "resumed"]


async def test_worker_and_amplifier_are_given_another_chance() -> None:
    box = Box()
    await box.controls.restart_worker("main", BY)
    await box.controls.reset_amplifier("main", BY)
    assert box.players[MAIN].did == ["restart"]
    assert box.players[MAIN].amplifier.resets == 1
    assert {one[0] for one in box.told} == {"control"}


class Machine:
    """Stands in for `systemctl`; no test may restart the machine it runs on."""

    def __init__(self, returncode: int, said: bytes = b"") -> None:
        self.returncode = returncode
        self.said = said
        self.asked: tuple[str, ...] = ()

    async def __call__(self, *command: str, **_: object) -> Machine:
        self.asked = command
        return self

    async def communicate(self) -> tuple[bytes, bytes]:
        return b"", self.said


async def test_a_restart_is_told_before_the_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    box, machine = Box(), Machine(0)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", machine)
    await box.controls.reboot("order:commune")
    assert machine.asked == ("systemctl", "reboot")
    assert box.told == [("control", "", "order:commune", "reboot")]


async def test_a_machine_that_will_not_restart_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box()
    monkeypatch.setattr(asyncio, "create_subprocess_exec", Machine(1, "không được phép".encode()))
    with pytest.raises(ControlRefusedError) as refused:
        await box.controls.reboot(BY)
    assert (refused.value.code, refused.value.detail) == ("reboot_failed", "không được phép")


@pytest.mark.parametrize(
    "verb", ["stop", "next", "pause", "resume", "restart_worker", "reset_amplifier", "set_volume"]
)
async def test_an_unknown_zone_is_refused_by_its_name(verb: str) -> None:
    box = Box()
    more = {"pause": (5,), "set_volume": (-3.0,)}.get(verb, ())
    with pytest.raises(ControlRefusedError, match="'west'") as refused:
        await getattr(box.controls, verb)("west", *more, BY)
    assert refused.value.code == "unknown_zone"
    assert box.told == []


async def test_an_unknown_zone_silences_nothing() -> None:
    box = Box()
    with pytest.raises(ControlRefusedError):
        await box.controls.safety_stop(("main", "west"), 5, BY)
    assert box.station.state.safety == {}


async def test_priorities_are_listed_in_the_order_in_which_they_would_win() -> None:
    box = Box()
    daily = Recurrence(datetime(2026, 11, 22, 13), "FREQ=DAILY")  # noqa: DTZ001
    programmes = (
        a_programme("early", daily, bulletin_class=BulletinClass.PRIORITY),
        a_programme("plain", daily),
    )
    timetable = Timetable(Schedule("s", 1, "Đài", "Asia/Ho_Chi_Minh", programmes))
    box.station.set_schedule(timetable, 1, "o", NOON)
    ordered = replace(a_programme("order", bulletin_class=BulletinClass.PRIORITY), title="Tiêm chủng")
    airing = Airing(ordered, NOON, "order.main.0@20261122T050000Z", "order")
    box.standings = (Standing(airing, Rung.PRIORITY, (MAIN,)), Standing(airing, Rung.PRIORITY, (EAST,)))
    assert [(one.id, one.position) for one in box.controls.priorities()] == [("order", None), ("early", None)]
    await box.controls.set_priority_order(("early", "gone"), BY)
    listed = box.controls.priorities()
    assert [(one.id, one.position) for one in listed] == [("early", 1), ("order", None)]
    assert listed[0].start == NOON + timedelta(hours=1)
