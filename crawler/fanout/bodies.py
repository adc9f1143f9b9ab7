"""What becomes of a response's body: counted and hashed, kept for the record, or written to a file.

A body that came whole with its head is dealt with in one go. Others come in pieces; up to `memory_limit` they are
collected, beyond it they go to disk as they come, so the memory of a run does not depend on the size of bodies.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from crawler.errors import ResponseTooLarge
from crawler.fanout.bandwidth import Bandwidth
from crawler.fanout.checks import Judge
from crawler.fanout.files import BodyFiles, Claim, StreamedFile
from crawler.fanout.names import wished_name
from crawler.fanout.paths import Folder, url_path
from crawler.fanout.plan import BodyPolicy
from crawler.fanout.record import mask
from crawler.fanout.result import Result
from crawler.models.decoders import BodyDecoder, content_codings, decode_whole

if TYPE_CHECKING:
    from hashlib import _Hash

    from crawler.fanout.frontier import Lease
    from crawler.models import Response


class BodyKeeper:
    """Reads bodies as a policy says.

    Args:
        policy: What to do with them.
        files: Where files go; needed for `keep="file"`.
        bandwidth: The cap on the bytes of the run.
        has_remains: An earlier run may have left temporary files.

    Attributes:
        has_remains: A request that failed may have left something on the disk; see `forget`.
    """

    def __init__(
        self,
        policy: BodyPolicy,
        files: BodyFiles | None = None,
        bandwidth: Bandwidth | None = None,
        *,
        has_remains: bool = False,
    ) -> None:
        self.has_remains = has_remains and files is not None
        self._bandwidth = bandwidth if bandwidth is not None and bandwidth.is_capped else None
        self._policy = policy
        self._files = files
        self._is_only_counted = policy.keep == "none" and policy.hold is None and self._bandwidth is None

    def close(self) -> None:
        """Let go of the folder of files."""
        if self._files is not None:
            self._files.close()

    async def forget(self, lease: Lease, kind: str) -> None:
        """Remove what a killed run left of a request that has failed for good, however it did."""
        if self._files is not None:
            await self._files.forget(wished_name(lease.item), lease.fp)

    def count_whole(self, response: Response, result: Result) -> bool:
        """Count and hash a body that came whole, if no more is to be done with it; whether that was so.

        Raises:
            ResponseTooLarge: The body is larger than the policy allows.
            DecodingError: It is not coded as its head says.
        """
        if not self._is_only_counted or not response.is_closed:
            return False
        policy = self._policy
        body = response.content if policy.decode else self._whole(response)
        size = result.bytes = len(body)
        if policy.max_size is not None and size > policy.max_size:
            raise _too_large(policy.max_size)
        if policy.hash:
            result.sha256 = sha256(body).hexdigest()
        return True

    async def keep(
        self, response: Response, result: Result, wished: str | None, owner: bytes, judge: Judge | None = None
    ) -> None:
        """Read a body to its end and write into the result what became of it.

        Bodies of error responses are counted, not kept: nobody wants the page of a 503 under the name of a file.

        Args:
            wished: Name of the file as the job wishes it; derived from the URL if `None`.
            owner: The fingerprint of the request, to which the name will belong.
            judge: Says whether the body is good; the file of one that is not never gets its name.

        Raises:
            CheckFailed: It is not.
            ResponseTooLarge: The body is larger than the policy allows, or than can be looked at.
            PathError, FileExists: It has no place to be written to.
            DiskError: The disk failed.
            RequestError: The body did not come whole.
        """
        policy = self._policy
        reading = _Reading(policy, judge, is_kept=response.status_code < 400 and not result.has_nothing_new)
        try:
            if response.is_closed:
                reading.take(self._whole(response))
                if self._bandwidth is not None:
                    await self._bandwidth.pace(reading.size)
            else:
                await self._stream(response, reading, result, wished, owner)
            if reading.digest is not None:
                result.sha256 = reading.digest.hexdigest()
            if reading.is_for_record:
                result.body = reading.taken()
            page = None if reading.held is None else page_of(response, b"".join(reading.held), policy)
            if judge is not None:
                judge.whole(reading.size, page, policy.hold if policy.must_hold else None)
            if reading.is_for_disk:
                await self._store(reading, result, wished, owner)
            result.page = page
        except BaseException:
            result.path = None  # there is no file of that name
            raise
        finally:
            if reading.file is not None:
                reading.file.discard()  # nothing to discard once it was published
            result.bytes = reading.size

    def _whole(self, response: Response) -> bytes:
        if self._policy.decode:
            return response.content
        stream = response.stream
        return b"".join(stream) if hasattr(stream, "__iter__") else b""

    async def _stream(
        self, response: Response, reading: _Reading, result: Result, wished: str | None, owner: bytes
    ) -> None:
        pieces = response.aiter_bytes() if self._policy.decode else response.aiter_raw()
        async for piece in pieces:
            if self._bandwidth is not None:
                await self._bandwidth.pace(len(piece))
            if reading.file is not None:
                reading.count(piece)
                await reading.file.write(piece)
                continue
            reading.take(piece)
            if reading.is_for_disk and reading.size > self._policy.memory_limit:
                assert self._files is not None
                parts = await self._name(result, wished, owner)
                reading.file = await self._files.open(parts)
                await reading.file.write(reading.taken())

    async def _store(self, reading: _Reading, result: Result, wished: str | None, owner: bytes) -> None:
        if reading.file is not None:
            await reading.file.publish()
            return
        assert self._files is not None
        await self._files.write_whole(await self._name(result, wished, owner), reading.taken())

    async def _name(self, result: Result, wished: str | None, owner: bytes) -> tuple[str, ...]:
        assert self._files is not None
        parts = await self._files.name(url_path(mask(result.url)) if wished is None else wished, owner)
        result.path = "/".join(parts)
        return parts


def page_of(response: Response, body: bytes, policy: BodyPolicy) -> bytes | None:
    """Give a body as processors and checks see it, decoded; `None` if it becomes too large by that."""
    codings = () if policy.decode else content_codings(response.headers.raw)
    if not codings:
        return body
    try:
        return decode_whole(body, BodyDecoder(codings, policy.hold))
    except ResponseTooLarge:
        return None


def open_bodies(
    policy: BodyPolicy, claim: Claim, bandwidth: Bandwidth | None = None, *, has_remains: bool = False
) -> BodyKeeper:
    """Make a keeper, with its folder of files open if the policy wants files; `close` it.

    Args:
        policy: What to do with bodies.
        claim: Reserves names of files.
        bandwidth: The cap on the bytes of the run.
        has_remains: An earlier run may have left temporary files.

    Raises:
        OSError: The folder cannot be created.
    """
    if policy.keep != "file":
        return BodyKeeper(policy, bandwidth=bandwidth)
    assert policy.directory is not None
    files = BodyFiles(Folder(policy.directory), claim, fsync=policy.fsync)
    return BodyKeeper(policy, files, bandwidth, has_remains=has_remains)


def _too_large(limit: int) -> ResponseTooLarge:
    return ResponseTooLarge(f"the body is larger than {limit} bytes")


class _Reading:
    """One body as it is read.

    Attributes:
        size: Bytes so far.
        digest: Their hash, if wanted.
        held: All of it, for the processor; `None` if there is none or it is too large.
        file: The file they go to, once they are too many for memory.
    """

    __slots__ = ("_hold", "_judge", "_keep", "_max_kept", "_max_size", "_pieces", "digest", "file", "held", "size")

    def __init__(self, policy: BodyPolicy, judge: Judge | None, *, is_kept: bool) -> None:
        self.size = 0
        self._judge = judge
        self.digest: _Hash | None = sha256() if policy.hash else None
        self.file: StreamedFile | None = None
        self._keep = policy.keep if is_kept else "none"
        self._max_size = policy.max_size
        self._max_kept = policy.inline_max if policy.keep == "inline" else None
        self._pieces: list[bytes] = []
        self._hold = policy.hold or 0
        self.held: list[bytes] | None = [] if is_kept and policy.hold is not None else None

    @property
    def is_for_disk(self) -> bool:
        return self._keep == "file"

    @property
    def is_for_record(self) -> bool:
        return self._keep == "inline"

    def count(self, piece: bytes) -> None:
        self.size += len(piece)
        if self._max_size is not None and self.size > self._max_size:
            raise _too_large(self._max_size)
        if self._judge is not None:
            self._judge.so_far(self.size)
        if self.digest is not None:
            self.digest.update(piece)
        if self.held is not None:
            if self.size <= self._hold:
                self.held.append(piece)
            else:
                self.held = None

    def take(self, piece: bytes) -> None:
        """Count a piece and keep it in memory, if it is to be kept at all."""
        self.count(piece)
        if self._keep == "none":
            return
        if self._max_kept is not None and self.size > self._max_kept:
            self._keep = "none"  # too large for the record, which then has none of it
            self._pieces.clear()
            return
        self._pieces.append(piece)

    def taken(self) -> bytes:
        """Give what was kept, and keep it no longer."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
