"""The result of one request: what was asked, what came of it, how long it took and how often it was tried.

One object per request lives from the moment its request is taken from the input to the record: each attempt fills it
anew, and while it waits for its next try it lies in the engine's heap. So a request costs one object, whatever its
history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from crawler.fanout.kinds import classify, classify_status, family
from crawler.models import codes

if TYPE_CHECKING:
    from crawler.fanout.hops import Hop
    from crawler.fanout.pages import Findings
    from crawler.fanout.recrawl import Seen
    from crawler.models import Request, Response
    from crawler.net.timing import Timing

Bytes = bytes  # which in the class below is a count

MAX_ATTEMPT_ERRORS: Final = 20
"""Failed tries whose kinds are kept; later ones are only counted."""


class Result:
    """What became of one request.

    Attributes:
        target: What the caller gave: a URL or a `Request`.
        index: Position in the input, from 0.
        key: The caller's name for it, if it has one.
        request: As it was sent; `None` if it could not even be built.
        response: The final response; its body is read, unless it went to a file. `None` if there was none.
        error: The exception that ended the last attempt; `None` if a response came, whatever its status.
        error_kind: Why `ok` is false, in one word of the closed list (`crawler.fanout.kinds`); `None` if it is true.
        attempts: Tries made.
        attempt_errors: Kinds of the failed tries in order, at most 20; the last one only if it failed for good.
        rate_limited: How many of the failed tries were `rate_limited`.
        started: Monotonic time of the first attempt's start.
        begun, ended: Monotonic start and end of the last attempt.
        rank: Its place among those of its host that wait: small ones first.
        host: Name of its host in the tables of politeness; empty where there are none.
        held: Monotonic time from which it waited for its host.
        hop: Where a redirect leads that is still to be followed.
        is_unprepared: Whether it may go out is not known yet; its next turn finds that out.
        host_wait: Seconds of `queue` that its host's clock took.
        path: Name of the body's file below the folder of bodies, if it went to a file.
        sha256: Digest of the body, hexadecimal, if it was computed.
        checksum_ok: Whether a download is what it should be; `None` if nobody said what that is.
        resumed_from: Bytes of a download that were there already.
        is_unchanged: The file was there, whole, and was left as it is.
        body: The body, if it was kept for the record.
        page: The body, decoded, if it was kept for a processor.
        findings: What the processor made of it.
        seen: What earlier rounds know of it, if the run fetches again what it has.
        bytes: Body bytes after decoding.
        bytes_wire: Body bytes on the wire, all tries and redirects together.
        attempt_bytes_wire: The last attempt's share of these.
        retry_after: Seconds the server asked to wait.
    """

    # Class-level defaults, so that a first attempt fills a dozen attributes and not forty (2.0 µs saved).
    request: Request | None = None
    response: Response | None = None
    error: Exception | None = None
    error_kind: str | None = None
    attempts: int = 0
    attempt_errors: tuple[str, ...] = ()
    rate_limited: int = 0
    started: float = 0.0
    begun: float = 0.0
    ended: float = 0.0
    overhead: float = 0.0
    held: float = 0.0
    host_wait: float = 0.0
    host: str = ""
    rank: int = 0
    is_unprepared: bool = False
    hop: Hop | None = None
    path: str | None = None
    sha256: str | None = None
    body: Bytes | None = None
    checksum_ok: bool | None = None
    resumed_from: int = 0
    is_unchanged: bool = False
    page: Bytes | None = None
    findings: Findings | None = None
    seen: Seen | None = None
    bytes: int = 0
    bytes_wire: int = 0
    attempt_bytes_wire: int = 0
    retry_after: float | None = None

    _is_booked: bool = True  # whether what no phase covers was looked for: rarely asked where results are kept
    _queue: float = 0.0
    _phases: Timing | None = None

    def __init__(self, target: Any, index: int, key: str | None, ready: float) -> None:
        self.target = target
        self.index = index
        self.key = key
        self.ready = ready  # monotonic time from which it could have been sent

    @property
    def ok(self) -> bool:
        """Whether a response came and its status is below 400."""
        return self.error_kind is None

    @property
    def status(self) -> int | None:
        """HTTP status of the last attempt's response."""
        return None if self.response is None else self.response.status_code

    @property
    def url(self) -> str:
        """The URL asked for: as normalised by the request, or as given if that could not be built."""
        if self.request is not None:
            return str(self.request.url)
        target = self.target
        return str(getattr(target, "url", target))

    @property
    def final_url(self) -> str:
        """The URL after redirects."""
        return self.url if self.response is None else str(self.response.url)

    @property
    def outcome(self) -> str:
        """`ok`, `unchanged`, `failed`, `skipped` (a rule forbade the request) or `cancelled`."""
        kind = self.error_kind
        if kind is None:
            return "unchanged" if self.is_unchanged else "ok"
        if kind == "cancelled":
            return "cancelled"
        return "skipped" if family(kind) == "policy" else "failed"

    @property
    def error_message(self) -> str | None:
        """What went wrong, for people; may hold URLs with secrets, which records mask."""
        if self.error is not None:
            return str(self.error) or type(self.error).__name__
        if self.error_kind is None or self.response is None:
            return None
        status = self.response.status_code
        return f"{status} {self.response.reason_phrase or codes.get_reason_phrase(status)}".strip()

    @property
    def timing(self) -> Timing | None:
        """Phases of the last attempt; `None` without a response, or if the client does not measure."""
        if not self._is_booked:
            self._book()
        if self._phases is not None:
            return self._phases
        return None if self.response is None else self.response.extensions.get("crawler.timing")

    @property
    def total(self) -> float:
        """Seconds of the last attempt: the sum of its phases where they are known, else from its slot to its end."""
        if not self._is_booked:
            self._book()
        return self.ended - self.begun - self.overhead

    @property
    def queue(self) -> float:
        """Seconds the last attempt waited for its host, its slot, a connection and its turns of the event loop."""
        if not self._is_booked:
            self._book()
        return self._queue

    @property
    def elapsed(self) -> float:
        """Seconds from the start of the first attempt to the end of the last, waits in between included."""
        return self.ended - self.started

    def raise_for_status(self) -> Response:
        """Give the response if all went well, else raise why not.

        Raises:
            Exception: `error`, if no response came; typed, see `crawler.errors`.
            HTTPStatusError: The status is not one of success.
        """
        if self.error is not None:
            raise self.error
        assert self.response is not None
        return self.response.raise_for_status()

    def begin(self, now: float) -> None:
        """Note that an attempt starts, and forget what the one before left."""
        self.begun = now
        self._queue = now - self.ready
        self.attempts += 1
        if self.attempts == 1:
            self.started = now
            if self.error_kind is None:  # as it was made
                return
        self._is_booked = True
        self.overhead = 0.0
        self._phases = self.hop = None
        self.response = self.error = self.error_kind = self.retry_after = None
        self.path = self.sha256 = self.body = self.checksum_ok = self.page = self.findings = None
        self.is_unchanged = False
        self.resumed_from = 0
        self.bytes = self.attempt_bytes_wire = 0

    @property
    def has_nothing_new(self) -> bool:
        """Whether the server says that a page is as an earlier round has seen it; such a response has no body."""
        return self.seen is not None and self.seen.known is not None and self.status == 304

    def fail(self, error: Exception) -> None:
        """Note that the attempt ended with an exception instead of a whole response."""
        self.error = error
        self._failed(classify(error))

    def skip(self, error: Exception, now: float) -> None:
        """Note that it was decided not to send it (any more), and why; that is no attempt."""
        attempts = self.attempts
        self.begin(now)
        self.attempts = attempts
        self.ended = now
        self.error = error
        self.error_kind = classify(error)

    def note_wait(self, seconds: float) -> None:
        """Count what an attempt under way had to wait for its next host as queueing."""
        self._queue += seconds
        self.overhead += seconds

    def account(self) -> None:
        """Let the phases add up to `total`, when somebody asks for them.

        The way to a connection and the waits for the event loop are queueing; writing the body to its file is part of
        receiving it; a redirect's exchanges are added up.
        """
        self._is_booked = False

    def _book(self) -> None:
        """Book what no phase of the exchange covers; see `account`."""
        self._is_booked = True
        timing, response = self.timing, self.response
        if timing is None or response is None:
            return
        if response.request is not self.request:
            hops = [hop.extensions.get("crawler.timing") for hop in response.history]
            timing = self._phases = timing.plus(hop for hop in hops if hop is not None)
        gap = self.ended - self.begun - self.overhead - timing.total
        if gap <= 0:
            return
        if self.path is not None:
            timing = self._phases = timing.plus(())
            timing.receive += gap
        else:
            self._queue += gap
            self.overhead += gap

    def judge_status(self, status: int, has_retry_after: bool) -> None:
        """Note a response whose status is an error; others change nothing."""
        kind = classify_status(status, has_retry_after)
        if kind is not None:
            self._failed(kind)

    def _failed(self, kind: str) -> None:
        self.error_kind = kind
        if kind == "rate_limited":
            self.rate_limited += 1
        if len(self.attempt_errors) < MAX_ATTEMPT_ERRORS:
            self.attempt_errors += (kind,)

    def __repr__(self) -> str:
        said = self.status if self.error_kind is None else self.error_kind
        return f"<Result [{said}] {self.url}>"
