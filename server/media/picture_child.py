"""A child that turns an untrusted picture into a plain one: `python -I picture_child.py IN OUT_FOLDER`.

Run as a script in a fresh interpreter with hard limits on memory, time, files and children, so that a
decoder that is led astray can do nothing but die. Says one line of JSON: `{"file": ..., "width": ...,
"height": ...}`, or `{"problem": ...}` with exit status 2. A picture that moves counts as its first frame.
"""

from __future__ import annotations

import json
import resource
import struct
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

MEMORY_BYTES = 1536 * 1024 * 1024
CPU_S = 40
OUTPUT_BYTES = 64 * 1024 * 1024

LONGEST_PX = 3840
"""Of either side of what comes out: the longer side of a 4K screen."""

MOST_PIXELS = 110_000_000
"""Of what goes in, 10,000 by 10,000 and some: about 450 MB decoded."""

MOST_SIDE_PX = 30_000
LARGE_PNG_BYTES = 3 * 1024 * 1024
"""An opaque picture that is larger is a photograph and becomes a JPEG."""

SMALL_PX = 4_000_000
"""Up to here a PNG is made as small as it can be; beyond that takes too long."""

JPEG_QUALITY = 88
REFUSED = 2
_ORIENTATION = 0x0112

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


def _limit() -> None:
    for kind, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, OUTPUT_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (allowed, allowed))


class _RefusedPictureError(Exception):
    """Its text is the problem: `format`, `broken`, `cut`, `pixels`."""


def _plain(source: Path, folder: Path) -> dict[str, object]:
    # Imported below the limits: decoders are loaded here.
    from PIL import Image as Pillow  # noqa: PLC0415

    loaded = _loaded(source)
    photo = loaded.format == "JPEG"
    turn, clear = _turn(loaded), loaded.has_transparency_data
    image = _in_plain_colours(loaded, clear=clear)
    # Before it is turned: a third copy of a large picture would not fit.
    image.thumbnail((LONGEST_PX, LONGEST_PX), Pillow.Resampling.LANCZOS, reducing_gap=2.0)
    if turn is not None:
        image = image.transpose(turn)
    plain = Pillow.new(image.mode, image.size)  # carries nothing but pixels
    plain.paste(image)
    target = folder / "plain.png"
    if not photo:
        plain.save(target, "PNG", optimize=plain.width * plain.height < SMALL_PX)
        photo = not clear and target.stat().st_size > LARGE_PNG_BYTES
        if photo:
            target.unlink()
    if photo:
        target = folder / "plain.jpg"
        plain.convert("RGB").save(target, "JPEG", quality=JPEG_QUALITY, optimize=True, progressive=False)
    return {"file": target.name, "width": plain.width, "height": plain.height}


def _loaded(source: Path) -> ImageFile:
    """The decoded picture, a large photograph already smaller."""
    from PIL import Image as Pillow  # noqa: PLC0415
    from PIL import UnidentifiedImageError  # noqa: PLC0415

    Pillow.MAX_IMAGE_PIXELS = None  # our own limit, told by its own name, stands in its place
    warnings.simplefilter("ignore")
    try:
        image = Pillow.open(source, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise _RefusedPictureError("format") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise _RefusedPictureError("broken") from error
    if image.width * image.height > MOST_PIXELS or max(image.size) > MOST_SIDE_PX:
        raise _RefusedPictureError("pixels")
    try:
        if image.format == "JPEG":
            image.draft(None, (LONGEST_PX, LONGEST_PX))
        image.load()
    except OSError as error:
        raise _RefusedPictureError("cut" if "truncated" in str(error) else "broken") from error
    except (ValueError, SyntaxError, EOFError, IndexError, Pillow.DecompressionBombError) as error:
        raise _RefusedPictureError("broken") from error
    return image


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How a camera was held, None if upright or not known. Source: EXIF 2.32, tag Orientation."""
    from PIL import Image as Pillow  # noqa: PLC0415

    try:
        held = image.getexif().get(_ORIENTATION)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, struct.error):
        return None
    ways = Pillow.Transpose
    known = {
        2: ways.FLIP_LEFT_RIGHT,
        3: ways.ROTATE_180,
        4: ways.FLIP_TOP_BOTTOM,
        5: ways.TRANSPOSE,
        6: ways.ROTATE_270,
        7: ways.TRANSVERSE,
        8: ways.ROTATE_90,
    }
    return known.get(held) if isinstance(held, int) else None


def _in_plain_colours(image: Image.Image, *, clear: bool) -> Image.Image:
    """RGB or RGBA with eight bits."""
    if image.mode in {"I;16", "I;16B", "I;16L", "I", "F"}:
        # Pillow cuts sixteen bits off at 255 instead of dividing them.
        image = image.convert("F").point(lambda value: value * (1 / 257) + 0).convert("L")
    wanted = "RGBA" if clear else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def main() -> int:
    """The child; see the module."""
    _limit()
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        said = _plain(source, folder)
    except _RefusedPictureError as error:
        said = {"problem": str(error)}
    except MemoryError:
        said = {"problem": "pixels"}
    sys.stdout.write(json.dumps(said) + "\n")
    return REFUSED if "problem" in said else 0


if __name__ == "__main__":
    sys.exit(main())
