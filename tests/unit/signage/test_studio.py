"""What the studio makes of a frame besides the frame itself."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image

from agent.signage.link import THUMBNAIL_BYTES, Setup
from agent.signage.screen import Face
from agent.signage.studio import Studio


@pytest.mark.parametrize("size", [(192, 64), (640, 360), (64, 128)])
def test_a_thumbnail_of_whatever_picture_is_small_enough_to_be_sent(size: tuple[int, int]) -> None:
    studio = Studio(Setup("test", {}, Face(*size)))
    noise = random.Random(4).randbytes(size[0] * size[1] * 3)
    still = bytes(size[0] * size[1] * 3)
    for rgb in (noise, still):
        made = studio.thumbnail(rgb)
        assert 0 < len(made) <= THUMBNAIL_BYTES
        with Image.open(io.BytesIO(made)) as image:
            assert image.format == "PNG"
            assert max(image.size) <= 160
            assert image.width / image.height == pytest.approx(size[0] / size[1], rel=0.05)
