"""What the parts of one download share: the tools of the run (`Workshop`), and one attempt as it stands (`Download`).

Transfer ──▶ download_existing   the file that is there
   │     ──▶ download_part       the part that is there, or a new one
   └──────▶ download_finish ──▶ download_naming, download_packing
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crawler.fanout.bandwidth import Bandwidth
from crawler.fanout.checks import Judge, ResponseCheck
from crawler.fanout.checksums import Checksum, Digests, Sums
from crawler.fanout.disk import DiskGuard, is_full
from crawler.fanout.download_policy import DownloadPolicy
from crawler.fanout.files import BodyFiles
from crawler.fanout.names import PROVISIONAL_FOLDER, wished_name
from crawler.fanout.partfile import PartOnDisk, Parts, read_into
from crawler.fanout.paths import url_path
from crawler.fanout.plan import BodyPolicy, Item
from crawler.fanout.resume import PartNote
from crawler.fanout.segments import Release
from crawler.fanout.tarpack import TarPack
from crawler.fanout.threads import Threads
from crawler.fanout.writer import PartWriter

if TYPE_CHECKING:
    from crawler.fanout.frontier import Lease
    from crawler.fanout.result import Result
    from crawler.models import Request, Response

SLICE: Final = 64 * 1024 * 1024
"""Bytes hashed per visit to a thread when a part or file is read again: what a cancelled download may wait for."""
_DRAINED: Final = 64 * 1024
"""Of a body that nobody wants: read, so that its connection can be used again; of a larger one the connection goes."""

Headers = tuple[tuple[str, str], ...]
Send = Callable[["Request"], Awaitable["Response"]]
Build = Callable[[Item], "Request"]


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all downloads of a run share."""

    policy: DownloadPolicy
    body: BodyPolicy
    files: BodyFiles
    threads: Threads
    guard: DiskGuard
    bandwidth: Bandwidth
    clock: Callable[[], float]
    build: Build
    take_slot: Callable[[Result], Release | None]
    checks: tuple[ResponseCheck, ...] = ()
    pack: TarPack | None = None

    @property
    def is_provisional(self) -> bool:
        """Whether parts lie under provisional names."""
        return self.policy.has_late_names or self.pack is not None

    async def insist(self, work: Callable[[], None]) -> None:
        """Do something on the disk, in a thread; without room, again when there is some.

        Raises:
            OSError: The disk refuses.
        """
        while True:
            try:
                await self.threads.run(work)
                return
            except OSError as error:
                if not is_full(error):
                    raise
            await self.guard.wait()

    async def read(self, fd: int, digests: Digests, start: int, end: int) -> None:
        """Hash bytes `start` to `end` of a file.

        Raises:
            EOFError: It is shorter.
        """
        for begin in range(start, end, SLICE):
            await self.threads.run(read_into, fd, digests, begin, min(begin + SLICE, end))


async def part_name(shop: Workshop, lease: Lease) -> Parts:
    """Give the name under which the part of a request lies: its final one, or a provisional one."""
    if shop.is_provisional:
        return (PROVISIONAL_FOLDER, lease.fp.hex())
    return await shop.files.name(wished_name(lease.item), lease.fp)


class Download:
    """One attempt at one download, as it stands.

    Args:
        shop: Tools and rules.
        result: Of the request; its target is a `Lease`.
        sums: Checksums of the job's list.

    Attributes:
        shop, policy, result, lease, item: What is to be done.
        expected: What the file must come to, by its row or else by the job's list.
        parts: The name of the part; often that of the file, too.
        part: The place of the part, while there is one.
        note: What lies beside the part.
        writer: Fills the part.
        is_kept: The part on the disk is worth something to the next try.
        digests: Of the bytes so far.
        judge: Says whether response and file are good; `None` if nobody asks.
    """

    __slots__ = (
        "_response",
        "digests",
        "expected",
        "is_kept",
        "item",
        "judge",
        "lease",
        "note",
        "part",
        "parts",
        "policy",
        "result",
        "shop",
        "writer",
    )

    def __init__(self, shop: Workshop, result: Result, sums: Sums | None) -> None:
        self.shop = shop
        self.policy = shop.policy
        self.result = result
        self.lease: Lease = result.target
        self.item: Item = self.lease.item
        self.parts: Parts = ()
        self.part: PartOnDisk | None = None
        self.note: PartNote | None = None
        self.writer: PartWriter | None = None
        self.is_kept = False
        self.judge: Judge | None = None
        self.expected = self._expect(sums)
        self.digests = self.new_digests()
        self._response: Response | None = None

    def _expect(self, sums: Sums | None) -> tuple[Checksum, ...]:
        item = self.item
        if item.checksums or sums is None:
            return item.checksums
        names = [url_path(item.url).partition("?")[0]]
        return sums.find(*([item.path] if item.path is not None else []), *names)

    def new_digests(self, more: tuple[Checksum, ...] = ()) -> Digests:
        """Give digests of no byte yet, of each algorithm that something is expected of."""
        return Digests([name for name, _ in (*self.expected, *more)])

    @property
    def response(self) -> Response:
        """The response at hand; not before there is one."""
        assert self._response is not None
        return self._response

    @response.setter
    def response(self, response: Response) -> None:
        self._response = self.result.response = response

    def keep(self, size: int, digests: Digests | None = None) -> None:
        """Note that a file that is there stays."""
        result = self.result
        result.is_unchanged = True
        result.bytes = size
        if digests is not None:
            result.sha256 = digests.sha256
            result.checksum_ok = True if self.expected else None

    async def drop_body(self) -> None:
        """Read a little body to its end, leave a large one."""
        response = self.response
        if response.is_closed:
            return
        size = 0
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > _DRAINED:
                break
        await response.aclose()

    async def leave(self) -> None:
        """End the attempt, however it ended: no thread works on the part, nothing is open; the part stays if it is of
        use."""
        if self._response is not None and not self._response.is_closed:
            await self._response.aclose()
        if self.writer is not None:
            await self.writer.settle(save=self.is_kept)
        await self.close_part()

    async def close_part(self) -> None:
        """Let go of the part; one that is open and of no use is removed."""
        part, self.part = self.part, None
        if part is None:
            return
        if part.fd < 0:
            part.leave()
        elif self.is_kept:
            if self.writer is not None:
                self.writer.mark_now()
            part.leave()
        else:
            await self.shop.threads.run(part.discard)
