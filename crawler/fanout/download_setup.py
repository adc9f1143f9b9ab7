"""The downloads of a run, put together; and the job's list of checksums, read before the first of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import anyio
import anyio.to_thread

from crawler.errors import HTTPError, InvalidURL
from crawler.fanout.bandwidth import Bandwidth
from crawler.fanout.checksums import MAX_SUMS_BYTES, Sums, parse_sums
from crawler.fanout.disk import DiskGuard
from crawler.fanout.download import Downloads
from crawler.fanout.download_policy import DownloadPolicy
from crawler.fanout.download_state import Build, Workshop
from crawler.fanout.errors import RunError
from crawler.fanout.fetch import HTTPClient
from crawler.fanout.files import BodyFiles, Claim
from crawler.fanout.paths import Folder
from crawler.fanout.plan import Plan
from crawler.fanout.record import mask
from crawler.fanout.result import Result
from crawler.fanout.segments import Release
from crawler.fanout.tarpack import TarPack
from crawler.fanout.threads import Threads

if TYPE_CHECKING:
    from crawler.fanout.stats import Stats

MAX_THREADS = 32
_SUMS_TRIES = 3


class SumsError(RunError):
    """The list of checksums cannot be had: without it nothing would be verified, so nothing is downloaded."""

    exit_code: ClassVar[int] = 2


def open_downloads(
    plan: Plan,
    policy: DownloadPolicy,
    claim: Claim,
    client: HTTPClient,
    bandwidth: Bandwidth,
    clock: Callable[[], float],
    build: Build,
    stats: Stats,
    take_slot: Callable[[Result], Release | None],
) -> Downloads:
    """Put the downloads of a run together; `close` them.

    Raises:
        OSError: The folder cannot be created.
    """
    assert plan.body.directory is not None

    def tell(text: str | None) -> None:
        stats.paused = text

    folder = Folder(plan.body.directory)
    threads = Threads(min(MAX_THREADS, plan.concurrency + 4))
    guard = DiskGuard(plan.body.directory, plan.stop.disk_free, clock, tell)
    pack = None
    if policy.pack is not None:
        pack = TarPack(plan.body.directory, policy.pack, threads, guard, fsync=plan.body.fsync)
    shop = Workshop(
        policy=policy,
        body=plan.body,
        files=BodyFiles(folder, claim, fsync=plan.body.fsync),
        threads=threads,
        guard=guard,
        pack=pack,
        bandwidth=bandwidth,
        clock=clock,
        build=build,
        take_slot=take_slot,
        checks=tuple(plan.checks),
    )
    source = policy.checksums_from
    if source is None:
        return Downloads(shop)
    return Downloads(shop, lambda: load_sums(source, client))


async def load_sums(source: Path | str, client: HTTPClient) -> Sums:
    """Read a list of checksums from a file or URL.

    Raises:
        SumsError: It cannot be read, or is no such list.
    """
    try:
        if isinstance(source, Path):
            return parse_sums(await anyio.to_thread.run_sync(_read_file, source))
        return parse_sums(await _fetch(source, client))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SumsError(f"the list of checksums {mask(str(source))} cannot be used: {reason}") from error


def _read_file(path: Path) -> str:
    with path.open("rb") as file:
        return _text(file.read(MAX_SUMS_BYTES + 1))


def _text(data: bytes) -> str:
    if len(data) > MAX_SUMS_BYTES:
        raise ValueError(f"it is larger than {MAX_SUMS_BYTES} bytes")
    return data.decode("utf-8", "surrogateescape")


async def _fetch(url: str, client: HTTPClient) -> str:
    problem = ""
    for number in range(_SUMS_TRIES):
        if number:
            await anyio.sleep(number)
        try:
            response = await client.send(client.build_request("GET", url), follow_redirects=True)
        except InvalidURL as error:
            raise ValueError(str(error)) from error
        except HTTPError as error:
            problem = str(error) or type(error).__name__
            continue
        if response.status_code == 200:
            return _text(response.content)
        problem = f"the server answered {response.status_code}"
        if response.status_code < 500 and response.status_code != 429:
            break
    raise ValueError(problem)
