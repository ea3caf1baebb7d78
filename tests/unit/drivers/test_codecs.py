"""Bits and bytes of the chips against the figures of their data sheets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sensor.ads1115 import codec as ads1115
from drivers.sensor.ina219 import codec as ina219
from drivers.sensor.mcp3008 import codec as mcp3008
from drivers.sensor.mcp3008.emulator import Mcp3008Emulator
from drivers.tuner.rda5807m import codec as rda5807m
from drivers.tuner.tea5767 import codec as tea5767


def test_ina219_figures_of_the_data_sheet() -> None:
    assert ina219.SETTINGS == 0x3E7F
    assert ina219.shunt_volts(0x7D00) == pytest.approx(0.32)
    assert ina219.shunt_volts(0x8300) == pytest.approx(-0.32)
    assert ina219.shunt_volts(0xFFFF) == pytest.approx(-10e-6)
    assert ina219.bus_volts(0x5D98 | 0b010) == pytest.approx(11.98, abs=0.005)
    with pytest.raises(ValueError, match="beyond 320 mV"):
        ina219.shunt_volts(0x7FFF)


def test_ads1115_figures_of_the_data_sheet() -> None:
    assert ads1115.start(0) == 0xC343
    assert ads1115.start(3) == 0xF343
    assert ads1115.is_settings(0x4343, 0)
    assert not ads1115.is_settings(0x8583, 0)
    assert ads1115.is_ready(0xC343)
    assert not ads1115.is_ready(0x4343)
    assert ads1115.volts(0x7FFF) == pytest.approx(4.096, abs=0.0002)
    assert ads1115.volts(0x8000) == pytest.approx(-4.096)
    assert ads1115.volts(0x0001) == pytest.approx(125e-6)


def test_mcp3008_figures_of_the_data_sheet() -> None:
    assert mcp3008.request(0) == b"\x01\x80\x00"
    assert mcp3008.request(7) == b"\x01\xf0\x00"
    assert mcp3008.steps(b"\xff\xf9\x02") == 0x102
    assert mcp3008.volts(512, 3.3) == pytest.approx(1.65)
    for answer in (b"\xff\xff\xff", b"\xff\xf9", b"\x00\x04\x00"):
        with pytest.raises(ValueError, match="none of an MCP3008"):
            mcp3008.steps(answer)


@given(st.integers(0, 7), st.integers(0, 1023))
def test_mcp3008_reads_every_step_of_every_channel(channel: int, step: int) -> None:
    microvolts = [1_111_111] * 8
    microvolts[channel] = -(-step * 3_300_000 // 1024)
    chip = Mcp3008Emulator(tuple(microvolts))
    assert mcp3008.steps(chip.transfer(mcp3008.request(channel))) == step


def test_tuner_figures_of_the_data_sheets() -> None:
    assert rda5807m.tune(rda5807m.channel_of(103.5)) == 0x2950
    assert rda5807m.channel_of(87.0) == 0
    assert rda5807m.megahertz_of(210) == 108.0
    assert rda5807m.is_family(0x5804)
    assert not rda5807m.is_family(0xFFFF)
    assert rda5807m.loudest(0x888B) == 0x888F
    assert rda5807m.rssi(0x6900) == 52
    assert tea5767.divider_of(103.5) == 0x3176
    assert tea5767.frame(103.5, muted=False) == bytes.fromhex("31 76 10 12 00")


@given(st.integers(870, 1080))
def test_every_channel_of_the_band_comes_back(tenths: int) -> None:
    channel = rda5807m.channel_of(tenths / 10)
    assert 0 <= channel <= 210
    assert rda5807m.megahertz_of(channel) == tenths / 10
    received_hz = tea5767.divider_of(tenths / 10) * 32_768 // 4 - 225_000
    assert abs(received_hz - tenths * 100_000) <= 4_096


def test_tea5767_answers() -> None:
    answer = tea5767.decode(bytes.fromhex("b1 76 b7 b0 00"))
    assert answer == tea5767.Answer(ready=True, divider=0x3176, stereo=True, if_count=0x37, level=11)
    assert answer.locked
    assert not tea5767.decode(bytes.fromhex("31 76 b7 b0 00")).locked
    assert not tea5767.decode(bytes.fromhex("b1 76 a0 b0 00")).locked
    for wrong in ("b1 76 b7 b0", "b1 76 b7 b1 00", "b1 76 b7 b0 01", "00 00 00 00 00", "ff ff ff ff ff"):
        with pytest.raises(ValueError, match="none of a TEA5767"):
            tea5767.decode(bytes.fromhex(wrong))
