"""What must hold of the ladder whatever happens, in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model.bulletin import BulletinClass, ClockTrust, Item, SourceLevel
from agent.model.live import LiveState
from agent.model.schedule import Programme, Resume
from agent.playout.ladder import Rung
from tests.unit.playout.ladder_world import FILES, ZONES, World, file_item, live_item, scheduled

Event = Callable[[World], None]


class Told:
    """An event that can be read in a failing example."""

    def __init__(self, name: str, *arguments: object, **more: object) -> None:
        self.name, self.arguments, self.more = name, arguments, more

    def __call__(self, world: World) -> None:
        getattr(world, self.name)(*self.arguments, **self.more)

    def __repr__(self) -> str:
        said = [repr(one) for one in self.arguments] + [
            f"{key}={value!r}" for key, value in self.more.items()
        ]
        return f"Told({self.name!r}, {', '.join(said)})"


lengths = st.sampled_from([5, 12, 30])
zones = st.sampled_from(ZONES)
levels = st.sampled_from([SourceLevel.PROVINCE, SourceLevel.COMMUNE, SourceLevel.HAMLET])
waits = st.sampled_from([300, 1500, 4000, 9000, 20_000, 45_000]).map(
    lambda ms: Told("wait", timedelta(milliseconds=ms))
)


def orders(rung: Rung) -> st.SearchStrategy[Told]:
    return st.builds(
        lambda level, length, limit: Told("order", rung, level, length, limit_s=limit),
        levels, lengths, st.sampled_from([10, 60, 300]),
    )  # fmt: skip


def passing(begin: Told, end: Told) -> st.SearchStrategy[list[Told]]:
    """Something that lasts for a while."""
    return waits.map(lambda wait: [begin, wait, end])


def one(told: st.SearchStrategy[Told]) -> st.SearchStrategy[list[Told]]:
    return told.map(lambda found: [found])


hours = st.builds(
    lambda begin, length, limit: Told("hours", begin, begin + length, limit),
    st.sampled_from([0, 10, 25, 50, 80]), st.sampled_from([8, 40, 600]), st.sampled_from([None, 1]),
)  # fmt: skip
disturbances = {
    "emergency": one(orders(Rung.EMERGENCY)),
    "live": one(orders(Rung.LIVE)),
    "priority": one(orders(Rung.PRIORITY)),
    "test": one(orders(Rung.TEST)),
    "fixed": one(
        st.builds(
            lambda level, length: Told("order", Rung.PRIORITY, level, length, fixed=True), levels, lengths
        )
    ),
    "cancel": one(st.builds(lambda number: Told("cancel", number), st.integers(0, 3))),
    "safety": one(
        st.builds(lambda zone, lasts: Told("safety", zone, lasts), zones, st.sampled_from([0, 3, 25]))
    ),
    "pause": one(
        st.builds(lambda zone, lasts: Told("pause", zone, lasts), zones, st.sampled_from([0, 3, 25]))
    ),
    "hours": one(hours | st.just(Told("always"))),
    "media": st.integers(0, 2).flatmap(
        lambda number: passing(Told("media", number, there=False), Told("media", number, there=True))
    ),
    "audio": zones.flatmap(lambda zone: passing(Told("audio", zone, ok=False), Told("audio", zone, ok=True))),
    "trust": passing(Told("trust", ClockTrust.RESTORED), Told("trust", ClockTrust.SYNCHRONISED)),
    "lost": st.sampled_from(["relay", "grant"]).flatmap(
        lambda name: passing(Told("live", name, LiveState.LOST), Told("live", name, LiveState.READY))
    ),
}
usual = [Told("live", "relay", LiveState.READY), Told("live", "grant", LiveState.READY)]


@st.composite
def happenings(draw: st.DrawFn) -> list[Told]:
    """A few kinds of events, often: rare combinations are met sooner so."""
    ladder = draw(st.lists(st.sampled_from(["fixed", "priority", "live", "test"]), min_size=1, max_size=2))
    others = sorted({"cancel", "safety", "pause", "hours", "media", "audio", "trust", "lost"})
    kinds = ["emergency", *ladder, *draw(st.lists(st.sampled_from(others), min_size=1, max_size=3))]
    found = list(usual)
    for _ in range(draw(st.integers(4, 14))):
        found += [draw(waits), *draw(disturbances[draw(st.sampled_from(kinds))])]
    return found


@st.composite
def programmes(draw: st.DrawFn, name: str) -> Programme:
    start, resume = draw(st.integers(1, 60)), draw(st.sampled_from(list(Resume)))
    if draw(st.integers(0, 3)) == 0:
        items: tuple[Item, ...] = (live_item("relay", draw(lengths)),)
        resume = Resume.CLOCK
    else:
        items = tuple(
            file_item(f"i{number}", draw(st.sampled_from(FILES)), draw(lengths))
            for number in range(draw(st.integers(1, 3)))
        )
    return scheduled(
        name,
        start,
        items,
        bulletin_class=draw(st.sampled_from([BulletinClass.NORMAL, BulletinClass.PRIORITY])),
        resume=resume,
        clock_needed=draw(st.sampled_from([ClockTrust.UNKNOWN, ClockTrust.RTC, ClockTrust.SYNCHRONISED])),
        fallback=draw(st.integers(0, 4)) == 0,
        zones=draw(st.sampled_from([(), (), ZONES[:1]])),
    )


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Programme, ...]:
    return tuple(draw(programmes(f"p{number}")) for number in range(draw(st.integers(1, 4))))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schedules(), happenings())
def test_whatever_happens_the_ladder_holds(listed: tuple[Programme, ...], happening: list[Told]) -> None:
    world = World(listed)
    for event in happening:
        event(world)
    world.close()


def test_a_waiting_bulletin_that_is_cancelled_never_sounds() -> None:
    world = World(())
    world.order(Rung.EMERGENCY, SourceLevel.COMMUNE, 5)
    world.order(Rung.PRIORITY, SourceLevel.COMMUNE, 30, fixed=True)
    world.wait(timedelta(seconds=5))
    assert len(world.station.state.cut) == len(ZONES)
    world.cancel(1)
    world.wait(timedelta(seconds=20))
    assert {key[0].partition(".")[0] for key, _ in world.starts} == {"o1"}


def test_a_late_bulletin_cut_by_the_hours_does_not_go_back() -> None:
    world = World([scheduled("p", 1, (file_item("i", FILES[0], 30),))])
    world.wait(timedelta(seconds=5))
    world.safety(ZONES[0], 10)
    world.wait(timedelta(seconds=15))
    world.hours(100, 200, None)
    world.wait(timedelta(seconds=2))
    world.always()
