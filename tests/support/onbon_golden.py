"""Frames of Onbon cards that were captured or printed by the vendor; the eight leading `a5` are left out.

Source: hardware notes, section 2.7: F0 ping from the manual, acknowledgements derived, all others captured from the
vendor's SDK.
"""

GOLDEN: dict[str, str] = {
    "F0 ping (manual)": ("fe ff 00 80 f0 00 fe ff 00 00 00 00 05 00 00 00 01 a2 00 00 00 c6 86 5a"),
    "C6 ping": (
        "fe ff 00 80 07 00 fe ff 00 00 6a 34 90 01 96 70 00 00 00 00 00 00 05 00 1e 78 00 cd 01 a2 00 00 "
        "00 5a"
    ),
    "C6 screen off": (
        "01 00 00 80 07 00 fe ff 00 00 ba 36 90 01 96 70 00 00 00 00 00 00 06 00 a9 04 00 d7 01 a2 05 01 "
        "00 00 5a"
    ),
    "C6 screen on": (
        "01 00 00 80 07 00 fe ff 00 00 c2 37 90 01 96 70 00 00 00 00 00 00 06 00 68 c4 00 af 01 a2 05 01 "
        "00 01 5a"
    ),
    "C6 off, with an escaped header byte (XOR = 5b)": (
        "01 00 00 80 07 00 fe ff 00 00 34 12 90 01 96 56 00 00 00 00 00 00 06 00 a9 04 00 5b 01 01 a2 05 "
        "01 00 00 5a"
    ),
    "C6 clock 2026-11-22 01:39:26 Sunday": (
        "01 00 00 80 07 00 fe ff 00 00 0c 39 90 01 96 70 00 00 00 00 00 00 0d 00 20 30 00 d8 01 a2 02 08 "
        "00 26 20 11 22 01 39 26 07 5a"
    ),
    "C6 status": (
        "01 00 00 80 07 00 fe ff 00 00 1a 3b 90 01 96 70 00 00 00 00 00 00 05 00 2e 7b 00 81 01 a2 0f 00 "
        "00 5a"
    ),
    "C6 brightness manual (SDK level 7 → value 06 ×48)": (
        "01 00 00 80 07 00 fe ff 00 00 18 3a 90 01 96 70 00 00 00 00 00 00 36 00 a7 4f 00 0c 01 a2 07 31 "
        "00 00 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 "
        "06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 06 5a"
    ),
    "C6 ping as sent for a 6Q card": (
        "fe ff 00 80 07 01 fe ff 01 00 88 21 90 01 96 61 00 00 00 00 00 00 05 00 1e 78 00 2b 01 a2 00 00 "
        "00 5a"
    ),
    "C5 ping": (
        "fe ff 00 80 05 00 fe ff 01 00 ce 47 00 90 96 7e 00 00 00 00 00 00 05 00 1e 78 16 01 a2 00 00 00 5a"
    ),
    "C5 screen off": (
        "01 00 00 80 05 00 fe ff 01 00 ce 49 00 90 96 7e 00 00 00 00 00 00 06 00 a9 04 d0 01 a2 05 01 00 "
        "00 5a"
    ),
    "C5 screen on": (
        "01 00 00 80 05 00 fe ff 01 00 da 4a 00 90 96 7e 00 00 00 00 00 00 06 00 68 c4 c6 01 a2 05 01 00 "
        "01 5a"
    ),
    "delete dynamic areas 0 and 1": (
        "01 00 00 80 f0 00 fe ff 00 00 00 00 08 00 00 00 01 a7 01 03 00 02 00 01 65 a8 5a"
    ),
    "delete all dynamic areas": (
        "01 00 00 80 f0 00 fe ff 00 00 00 00 06 00 00 00 01 a7 01 01 00 ff 71 2a 5a"
    ),
    "F0 ACK": ("00 80 01 00 f0 00 fe ff 00 00 00 00 09 00 00 00 00 a0 00 00 00 00 00 00 00 40 e4 5a"),
    "F0 NACK, error 3 busy": (
        "00 80 01 00 f0 00 fe ff 00 00 00 00 09 00 00 00 00 a0 01 01 00 03 00 00 00 51 b1 5a"
    ),
    "BX-6E dual, scene A": (
        "01 00 00 80 f0 00 fe ff 00 00 00 00 8a 00 00 00 01 a7 00 85 00 01 00 3f 00 00 00 00 00 1e 00 01 "
        "00 00 01 00 00 00 00 10 00 00 00 00 40 00 04 00 00 00 65 00 00 00 00 00 00 00 01 00 1a 00 00 00 "
        "00 02 01 01 2c 01 01 40 00 00 00 00 00 00 00 00 00 00 00 00 00 00 40 00 00 00 ff ff ff 7f ff ff "
        "ff ff ff ff ff ff ff ff ff ff fe ff ff ff ff ff ff ff ff ff ff ff ff ff ff 7f ff ff ff ff ff ff "
        "ff ff ff ff ff bf ff ff ff ff fe ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff 8b 65 5a"
    ),
    "BX-6E dual, scene B": (
        "01 00 00 80 f0 00 fe ff 00 00 00 00 6a 00 00 00 01 a7 00 65 00 01 00 3f 00 00 00 01 00 1e 00 01 "
        "00 00 01 00 00 00 00 10 23 00 02 00 28 00 02 00 00 00 65 00 00 00 00 00 00 00 01 00 1a 00 00 00 "
        "00 02 01 01 2c 01 01 28 00 00 00 00 00 00 00 00 00 00 00 00 00 00 20 00 00 00 ff ff ff ef ff ff "
        "ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff df ff ac 69 5a"
    ),
    "BX-6E mono, scene A": (
        "01 00 00 80 f0 00 fe ff 00 00 00 00 6a 00 00 00 01 a7 00 65 00 01 00 3f 00 00 00 00 00 1e 00 01 "
        "00 00 01 00 00 00 00 10 00 00 00 00 40 00 04 00 00 00 65 00 00 00 00 00 00 00 01 00 1a 00 00 00 "
        "00 02 01 01 2c 01 01 40 00 00 00 00 00 00 00 00 00 00 00 00 00 00 20 00 00 00 ff ff ff 7f ff ff "
        "ff ff ff ff ff bf ff ff ff ff fe ff ff ff ff ff ff ff ff ff ff ff ff ff ff 7f fe 27 5a"
    ),
    "BX-6E mono, scene B": (
        "01 00 00 80 f0 00 fe ff 00 00 00 00 5b 02 00 00 00 01 a7 00 55 00 01 00 3f 00 00 00 01 00 1e 00 "
        "01 00 00 01 00 00 00 00 10 23 00 02 00 28 00 02 00 00 00 65 00 00 00 00 00 00 00 01 00 1a 00 00 "
        "00 00 02 01 01 2c 01 01 28 00 00 00 00 00 00 00 00 00 00 00 00 00 00 10 00 00 00 ff ff ff ef ff "
        "ff ff ff ff ff ff ff ff ff df ff 90 63 5a"
    ),
    "BX-5E dual, scene A": (
        "01 00 00 80 f0 00 fe ff 00 00 00 00 72 00 00 00 01 a7 00 6d 00 69 00 00 00 00 00 1e 00 01 00 00 "
        "01 00 00 00 00 10 00 00 00 00 40 00 04 00 00 01 00 4d 00 00 00 00 02 00 01 2c 01 01 40 00 00 00 "
        "00 00 7f ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff bf ff ff ff ff ff ff ff ff ff ff ff ff "
        "ff ff ff ff ff ff ff ff fe fe ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff 7f ff ff ff ff ff "
        "ff ff 81 c2 5a"
    ),
    "BX-5E dual, scene B": (
        "01 00 00 80 f0 00 fe ff 00 00 00 00 4a 00 00 00 01 a7 00 45 00 41 00 00 00 01 00 1e 00 01 00 00 "
        "01 00 00 00 00 10 23 00 02 00 28 00 02 00 00 01 00 25 00 00 00 00 02 00 01 2c 01 01 28 00 00 00 "
        "00 00 ef ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff df b9 63 5a"
    ),
}
