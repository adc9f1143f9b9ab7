"""Lists that lie on a server: fetched once, kept beside the state, read from there.

A run that is gone on with must see the list it began with, whatever the server has by now. So a list is read from its
copy in the state's folder, and a copy is whole or not there at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from crawler.client import Client
from crawler.errors import HTTPError, InvalidURL
from crawler.fanout.record import mask
from crawler.jobs.lines import InputError
from crawler.models import Retry, Timeout

FOLDER: Final = "input"
"""Of the copies, in the state's folder."""

_TIMEOUT_S: Final = 30.0
_CHUNK: Final = 1024 * 1024


class RemoteLists:
    """Fetches lists.

    Args:
        folder: Where copies are kept; None keeps them for as long as they are read.
        headers: Sent with each request.
        testbed_url: What addresses that begin with `/` are put behind.
        guard: Which addresses may be connected to.
    """

    def __init__(
        self,
        folder: Path | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        testbed_url: str = "",
        guard: Callable[[str], bool] | None = None,
    ) -> None:
        self._folder = folder
        self._headers = headers
        self._testbed_url = testbed_url
        self._guard = guard

    @contextlib.contextmanager
    def local(self, url: str) -> Iterator[Path]:
        """Give the copy of a list, fetched if there is none yet.

        Raises:
            InputError: It cannot be fetched, or not be written.
        """
        name = copy_name(url)
        try:
            if self._folder is None:
                with tempfile.TemporaryDirectory(prefix="crawler-input-") as folder:
                    path = Path(folder) / name
                    self._fetch(url, path)
                    yield path
                return
            path = self._folder / FOLDER / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._fetch(url, path)
        except OSError as error:
            raise InputError(f"cannot keep a copy of {mask(url)}: {error.strerror or error}") from error
        yield path

    def _fetch(self, url: str, path: Path) -> None:
        part = path.with_name(path.name + ".part")
        absolute = self._testbed_url + url if url.startswith("/") else url
        client = Client(
            headers=list(self._headers),
            timeout=Timeout(_TIMEOUT_S),
            follow_redirects=True,
            retries=Retry(3),
            address_guard=self._guard,
        )
        try:
            with client, client.stream("GET", absolute) as response:
                if not response.is_success:
                    raise InputError(f"{mask(url)}: the server answered with {response.status_code}")
                with part.open("wb") as file:
                    for piece in response.iter_bytes(_CHUNK):
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
        except (HTTPError, InvalidURL) as error:
            raise InputError(f"{mask(url)}: cannot fetch the list: {error}") from error
        part.replace(path)


def copy_name(url: str) -> str:
    """The file name of a list's copy: made of its whole address, with the suffixes that say how to read it."""
    digest = hashlib.blake2b(url.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    suffixes = [suffix for suffix in PurePosixPath(urlsplit(url).path).suffixes[-2:] if len(suffix) <= 8]
    return digest + "".join(suffix.lower() for suffix in suffixes if suffix[1:].isalnum())
