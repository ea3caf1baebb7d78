"""An MCP3008 made from its data sheet (DS21295), bit by bit, not from our codec, for tests without one."""

from __future__ import annotations


class Mcp3008Emulator:
    """Answers clock by clock: start bit, SGL/DIFF, D2 D1 D0, one sampling clock, null bit, ten bits.

    Attributes:
        microvolts: at each of the eight inputs.
        reference_microvolts: at VREF.
    """

    def __init__(self, microvolts: tuple[int, ...] = (0,) * 8, reference_microvolts: int = 3_300_000) -> None:
        self.microvolts = microvolts
        self.reference_microvolts = reference_microvolts
        self.closed = False

    def transfer(self, data: bytes) -> bytes:
        """One period of chip select; the line floats high (pulled up) where the chip does not drive it."""
        asked = [byte >> bit & 1 for byte in data for bit in range(7, -1, -1)]
        told = [1] * len(asked)
        if 1 in asked:
            start = asked.index(1)
            order = asked[start + 1 : start + 5]
            if len(order) == 4:  # SGL/DIFF and D2 to D0
                answer = [0] + [self._code(order) >> bit & 1 for bit in range(9, -1, -1)]
                begin = start + 6
                told[begin : begin + len(answer)] = answer
        told = told[: len(asked)]
        return bytes(
            sum(bit << (7 - place) for place, bit in enumerate(told[at : at + 8]))
            for at in range(0, len(told), 8)
        )

    def close(self) -> None:
        self.closed = True

    def _code(self, order: list[int]) -> int:
        single, number = order[0], order[1] << 2 | order[2] << 1 | order[3]
        microvolts = self.microvolts[number]
        if not single:
            microvolts -= self.microvolts[number ^ 1]
        return max(0, min(1023, microvolts * 1024 // self.reference_microvolts))
