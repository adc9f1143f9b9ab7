"""The HTML report in a real browser: it is drawn, wide and narrow, light and dark.

Set `CRAWLER_SCREENSHOTS` to a folder to keep the pictures and look at them.
"""

from __future__ import annotations

import os
import subprocess
import zlib
from pathlib import Path

import pytest

from crawler.bench.reports import render
from tests.bench.examples import arm, result
from tests.conftest import find_program

pytestmark = pytest.mark.needs_program("chromium")

_FLAGS = (
    "--headless",
    "--no-sandbox",  # containers have no user namespaces to give
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every chart."""
    arms = [arm("sync", 20, 0.05, "baseline", engine="sync", vus=1)]
    arms += [
        arm(f"async_h{version}[vus={vus}]", 18.0 * vus, 0.05 + vus / 4000) for version in (1, 2) for vus in (4, 64)
    ]
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render("html", result(*arms)), encoding="utf-8")
    return path


def browse(page: Path, profile: Path, *options: str) -> str:
    """Open the page in a browser with a new profile, and give what it prints."""
    program = find_program("chromium")
    assert program is not None
    done = subprocess.run(
        [program, *_FLAGS, f"--user-data-dir={profile}", *options, page.as_uri()],
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1200, 900), (500, 1400)])
def test_it_is_drawn(page: Path, tmp_path: Path, width: int, height: int, scheme: str) -> None:
    """The picture is not blank: the ground has the scheme's colour, and charts and text lie on it."""
    picture = tmp_path / f"report-{scheme}-{width}.png"
    preferred = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    if folder := os.environ.get("CRAWLER_SCREENSHOTS"):
        browse(
            page, tmp_path / "shown", f"--screenshot={folder}/{picture.name}", f"--window-size={width},3300", preferred
        )
    # The beginning at half the size (no browser goes below that): few pixels, as they are unpacked in Python.
    size = f"--window-size={width},{height}"
    browse(page, tmp_path / "profile", f"--screenshot={picture}", size, preferred, "--force-device-scale-factor=0.5")

    pixels = read_png(picture.read_bytes())
    assert len(pixels) == (width // 2) * (height // 2)
    assert pixels[0] == ((0x12, 0x16, 0x1B) if scheme == "dark" else (0xFF, 0xFF, 0xFF))
    assert len(set(pixels)) > 100
    series = [(0x4A, 0xA8, 0xE0), (0xF0, 0x87, 0x4A)] if scheme == "dark" else [(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)]
    for colour in series:
        assert pixels.count(colour) > 50, colour


@pytest.mark.parametrize("width", [1200, 500])
def test_nothing_sticks_out(page: Path, tmp_path: Path, width: int) -> None:
    """No page is wider than its window: wide tables scroll by themselves."""
    probe = tmp_path / "probe.html"
    style = f"width:{width - 20}px;height:5000px;border:0"
    probe.write_text(
        f'<iframe id="f" src="{page.as_uri()}" style="{style}"></iframe><script>onload = () => {{'
        ' const root = document.getElementById("f").contentDocument.documentElement;'
        " document.title = `${root.scrollWidth} ${root.clientWidth}`; }</script>",
        encoding="utf-8",
    )
    dom = browse(
        probe, tmp_path / "profile", "--allow-file-access-from-files", "--dump-dom", f"--window-size={width},5000"
    )

    inner, outer = dom.partition("<title>")[2].partition("</title>")[0].split()
    assert int(inner) <= int(outer) == width - 20


def read_png(data: bytes) -> list[tuple[int, int, int]]:
    """The pixels of a PNG of 8 bits without transparency or with, row by row (PNG specification, sections 9 and 11)."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, packed, size, channels = 8, b"", (0, 0), 3
    while place < len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        body = data[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            size = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
            assert body[8:13] in (b"\x08\x02\0\0\0", b"\x08\x06\0\0\0")
            channels = 3 if body[9] == 2 else 4
        elif kind == b"IDAT":
            packed += body
        place += 12 + length
    rows = unfilter(zlib.decompress(packed), size[0] * channels, channels)
    return [tuple(row[x : x + 3]) for row in rows for x in range(0, len(row), channels)]  # type: ignore[misc]


def unfilter(raw: bytes, stride: int, channels: int) -> list[bytearray]:
    """Undo the filter of each row."""
    rows, above = [], bytearray(stride)
    for start in range(0, len(raw), stride + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for x in range(stride) if kind else ():
            left = row[x - channels] if x >= channels else 0
            corner = above[x - channels] if x >= channels else 0
            guess = (0, left, above[x], (left + above[x]) // 2, paeth(left, above[x], corner))[kind]
            row[x] = (row[x] + guess) & 0xFF
        rows.append(row)
        above = row
    return rows


def paeth(left: int, up: int, corner: int) -> int:
    """The neighbour nearest to left + up - corner."""
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))
