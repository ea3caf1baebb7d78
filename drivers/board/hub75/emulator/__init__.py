"""Panels for `rgbmatrix` that are a file; see `rgbmatrix` below this directory."""

from pathlib import Path

PATH = Path(__file__).parent
"""Goes into PYTHONPATH of the host, so that `import rgbmatrix` finds the emulator."""
