"""What all tests share: how far chance goes."""

from __future__ import annotations

import os

from hypothesis import settings

# At a desk every run tries other examples. In continuous integration the same ones each time: a landing must not
# hang on a die, and what a die finds there nobody sees again.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
