"""What a run is told: the plan, the items, and what it hands back.

    items (streamed) ──▶ Run(plan, items).execute() ──▶ Outcome(state, exit_code, summary)

Everything here is a value: the YAML room makes them, the engine reads them, nobody changes them. Durations are
seconds, sizes are bytes, `None` means "no limit". Defaults are those of a job of kind `fetch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from crawler.fanout.checks import ResponseCheck
from crawler.fanout.download_policy import DownloadPolicy
from crawler.fanout.ids import new_run_id
from crawler.fanout.recrawl import RecrawlPolicy
from crawler.fanout.throttle import ThrottlePolicy
from crawler.fanout.windows import Window
from crawler.models import Timeout

if TYPE_CHECKING:
    from crawler.client import Auth
    from crawler.net import Names, Streams

RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504, 522, 524})
RETRIED_KINDS = (
    "dns_temporary",
    "dns_timeout",
    "connect_*",
    "timeout_*",
    "connection_*",
    "h2_*",
    "body_incomplete",
    "proxy_connect",
    "too_slow",
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed request is sent again, and after how long.

    The wait before try `n + 1` comes from `base * factor ** (n - 1)`, never more than `max_backoff`: with full jitter
    it is anywhere between zero and that, with equal jitter in its upper half, with none exactly that.

    Attributes:
        attempts: Tries in all, the first included; 1 means no retry.
        rate_limit_attempts: Tries that may end `rate_limited`, counted apart, so that 429s do not use up `attempts`.
        status: HTTP statuses that are worth another try.
        kinds: Error kinds worth another try, as shell patterns.
        base, factor, max_backoff, jitter: The back-off, see above.
        retry_after: `obey` waits as told and gives up if that is longer than `max_wait`; `cap` waits at most
            `max_wait`; `ignore` uses the back-off alone.
        max_wait: Longest wait a server may ask for; see `HostClock` for what a longer one does to the whole host.
        budget: Retries of one host, as a share of its first tries, besides a small reserve; rate-limited tries are
            not counted. `None` is no limit.
        once: Kinds that are tried once more each, at once: a file that came out wrong, from its first byte.
    """

    attempts: int = 4
    rate_limit_attempts: int = 8
    status: frozenset[int] = RETRIED_STATUS
    kinds: tuple[str, ...] = RETRIED_KINDS
    base: float = 0.5
    factor: float = 2.0
    max_backoff: float = 60.0
    jitter: Literal["full", "equal", "none"] = "full"
    retry_after: Literal["obey", "cap", "ignore"] = "obey"
    max_wait: float = 600.0
    budget: float | None = 0.1
    once: frozenset[str] = frozenset({"range_mismatch", "changed_during_resume"})


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What one host is asked at most; `None` is no limit.

    Attributes:
        concurrency: Requests at once.
        rate: Starts per second, measured from start to start.
        burst: Starts that may come at once after a pause, at a `rate`.
        jitter: Each interval is drawn from `interval * (1 ± jitter)`; only where `burst` is 1.
    """

    concurrency: int | None = None
    rate: float | None = None
    burst: int = 1
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency of a host must be at least 1, not {self.concurrency}")
        if self.rate is not None and not self.rate > 0:
            raise ValueError(f"rate of a host must be above 0, not {self.rate}")
        if self.burst < 1 or not 0 <= self.jitter <= 1:
            raise ValueError("burst is at least 1, jitter between 0 and 1")


@dataclass(frozen=True, slots=True)
class HostRule:
    """Limits of the hosts that match.

    Attributes:
        match: Shell pattern (`*.example.com`) for the host's name, or for name and port (`127.0.0.1:80*`); for its
            registrable domain or its address, if that is what hosts are counted by; or a network (`192.0.2.0/24`).
        limits: All of them: nothing is inherited any more.
        windows: Hours in which these hosts are asked; outside they wait. None is all day.
        headers: Sent to these hosts and to no others; what a request has itself counts more.
        timeouts: Other time limits for these hosts, by name (`connect`, `read`, …) in seconds.
    """

    match: str
    limits: HostLimits
    windows: tuple[Window, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    timeouts: tuple[tuple[str, float | None], ...] = ()


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """When a host that only fails is left alone.

    Attributes:
        failures: Failures in a row (no connection, a time-out, a 5xx) after which it is; those that were under way
            together count as one. `None` is never.
        open_for: Seconds of the first pause; each one that follows is twice as long. After a pause one request tries.
        max_open: Longest pause; if the request after that fails as well, the host is given up for this run.
    """

    failures: int | None = 5
    open_for: float = 60.0
    max_open: float = 900.0


@dataclass(frozen=True, slots=True)
class Politeness:
    """How hosts are spared.

    Attributes:
        by: What counts as one host: scheme, name and port; the name alone; the part of it that somebody registered; or
            the address.
        limits: Of each host.
        rules: Other limits for some hosts; the first that matches counts.
        rate: Starts per second of the whole run.
        circuit: When a failing host is left alone.
        throttle: How hosts are asked less than the limits allow, as they can bear it; `None` asks as much as allowed.
    """

    by: Literal["origin", "host", "registrable_domain", "ip"] = "origin"
    limits: HostLimits = HostLimits()
    rules: tuple[HostRule, ...] = ()
    rate: float | None = None
    circuit: CircuitPolicy = CircuitPolicy()
    throttle: ThrottlePolicy | None = None


@dataclass(frozen=True, slots=True)
class StopLimits:
    """When a run ends before its list does. Each counts this run alone, and what is left stays pending.

    Attributes:
        after: Seconds.
        requests: Requests begun.
        bytes: Body bytes on the wire.
        failures: Requests that failed for good.
        failure_ratio: Share of failures among the last `failure_ratio_window` requests; a run that ends within it
            succeeds (exit code 0).
        consecutive_failures: Failures in a row.
        disk_free: Bytes that stay free where bodies are written: with less, a download waits for room, and ends only
            if there is none for ten minutes.
        memory: Share of the memory of the container or machine, from which no new request begins; a run that this does
            not help within half a minute ends.
    """

    after: float | None = None
    requests: int | None = None
    bytes: int | None = None
    failures: int | None = None
    failure_ratio: float | None = None
    failure_ratio_window: int = 1000
    consecutive_failures: int | None = None
    disk_free: int | None = None
    memory: float | None = 0.85


@dataclass(frozen=True, slots=True)
class BodyPolicy:
    """What happens to response bodies.

    Attributes:
        keep: `none` counts and hashes them, `inline` puts them into the record, `file` writes each to its file.
        directory: Folder that holds the files; nothing is ever written outside it. Required for `file`.
        memory_limit: Bodies above this go to disk piece by piece; only smaller ones are ever whole in memory.
        max_size: Larger bodies fail with `too_large`.
        inline_max: Larger bodies are not put into the record (the record then has no `body`, and is still `ok`).
        decode: Undo `Content-Encoding`; if false, bytes are kept as they came.
        hash: Compute the SHA-256 of each body.
        fsync: Wait for the disk before a file gets its final name.
        hold: Bodies up to this many bytes, decoded, are kept in memory for the processor of the run, whatever `keep`
            says; it sees no larger ones. `None` holds none.
        must_hold: A page that the processor cannot see, because its body is larger than `hold`, fails with `too_large`.
    """

    keep: Literal["none", "inline", "file"] = "none"
    directory: Path | None = None
    memory_limit: int = 1024 * 1024
    max_size: int | None = 100 * 1024 * 1024
    inline_max: int = 64 * 1024
    decode: bool = True
    hash: bool = True
    fsync: bool = True
    hold: int | None = None
    must_hold: bool = False

    def __post_init__(self) -> None:
        if self.keep == "file" and self.directory is None:
            raise ValueError("keep='file' needs a directory to write to")


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How the one client of a run is made; see `crawler.AsyncClient` for the meaning of each.

    Attributes:
        headers: Sent with every request, in this order.
        http1, http2: Protocols offered.
        verify: Check certificates.
        ca_file: A PEM file of authorities to trust instead of the system's.
        proxy: URL of a proxy for all requests; `None` takes the environment's if `trust_env`.
        trust_env: Read proxy settings from the environment.
        keepalive_expiry: Seconds an idle connection is kept.
        guard: Asked for each address before anything is sent to it; False refuses it (`blocked_address`). Environment
            proxies are not used then.
        auth: Authenticates requests.
        proxies: URLs of several proxies, of which each host's requests take one after the other.
        local_address: Address of this machine that connections start from; the environment's proxies are not used then.
        max_connections: Connections at once; `None` is no limit besides `Plan.concurrency`.
        client_cert, client_key: PEM files of a client certificate and its key.
        min_tls: Least version of TLS; `None` is the library's own.
        streams: How much an HTTP/2 connection carries.
        names: How names become addresses; the environment's proxies are asked about by the same rules.
        keeps_cookies: Cookies that servers set are sent back, and kept with the state.
        cookies: Name, value and host of cookies to begin with.
    """

    headers: tuple[tuple[str, str], ...] = ()
    http1: bool = True
    http2: bool = False
    verify: bool = True
    ca_file: Path | None = None
    proxy: str | None = None
    trust_env: bool = True
    keepalive_expiry: float = 15.0
    guard: Callable[[str], bool] | None = None
    auth: Auth | None = None
    proxies: tuple[str, ...] = ()
    local_address: str | None = None
    max_connections: int | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    min_tls: Literal["1.2", "1.3"] | None = None
    names: Names | None = None
    streams: Streams | None = None
    keeps_cookies: bool = False
    cookies: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """One output of records: a file, a row of files, standard output, or an object elsewhere.

    Attributes:
        path: Where it is written; appended to when a run goes on. `{seq}` or `{seq:05d}` in it is the number of the
            part. `-` is standard output.
        format: Kind of sink (`crawler.fanout.sinks`).
        records: A row per request, per try, or per extracted item.
        fields: Dotted names of the fields of a row; none is all.
        where: Condition on rows, in JMESPath.
        compress: How; `None` goes by the suffix.
        roll_rows, roll_size: Rows or bytes of a part after which the next begins; `None` is the format's own limit.
            Without `{seq}` in the path there is one part.
        append: Go on in a file that others wrote; else that is an error.
        cdxj: Write an index beside each WARC file.
        columns: Names and types of the extracted fields, for tables.
        remote: URL of an object store (`s3://bucket/key`), which takes the place of `path`; `path` then only names it.
        identity: Names it in the state; `None` is the path. The same in every run, where the path holds the run's id.
        comment: Who made it and for whom, for formats that say so.
    """

    path: Path
    format: Literal["jsonl", "csv", "parquet", "warc", "sha256sums"] = "jsonl"
    records: Literal["requests", "attempts", "items"] = "requests"
    fields: tuple[str, ...] = ()
    where: str | None = None
    compress: Literal["none", "gz", "zst"] | None = None
    roll_rows: int | None = None
    roll_size: int | None = None
    append: bool = True
    cdxj: bool = False
    columns: tuple[tuple[str, str], ...] = ()
    remote: str = ""
    identity: str | None = None
    comment: tuple[tuple[str, str], ...] = ()

    @property
    def is_stdout(self) -> bool:
        """Whether it is standard output."""
        return str(self.path) == "-" and not self.remote

    @property
    def is_local(self) -> bool:
        """Whether it is a file here."""
        return not self.remote and not self.is_stdout


def _job_timeout() -> Timeout:
    return Timeout(connect=10.0, read=30.0, write=30.0, pool=None, total=120.0, dns=5.0, tls=10.0, ttfb=30.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run needs to know besides its items.

    Attributes:
        name: Name of the job; stands in every record.
        run_id: ULID of this run.
        concurrency: Requests on the wire at once.
        timeout: Limits of one attempt; the clock starts when the request gets its slot.
        queue: Seconds that a request may wait for its first slot and its host before it fails unsent; `None` for ever.
        retry: When to try again.
        politeness: What each host is asked at most.
        stop: When to end early.
        follow_redirects, max_redirects: Redirect rules. Each hop obeys the clock of the host it leads to.
        cross_host_redirects, downgrade_redirects: Whether one may lead to another host; from https to http.
        body: What happens to bodies.
        download: How files are downloaded to `body.directory` (`keep="file"`); `None` for bodies of pages.
        bandwidth: Bytes per second of all bodies together.
        client: How the client is made.
        outputs: Files of records; `summary.json` is written beside the first.
        state_dir: Folder of the durable state; `None` runs in memory, and then nothing can be resumed.
        durability: `batch` commits every 200 ms or 500 records, `full` also waits for the disk at each commit.
        input_id: Identifies the input (for example a hash of the list, or path, size and mtime). If it is unchanged
            and the input was read to its end before, a resumed run does not read it again; `None` always reads it
            again.
        grace: Seconds that requests in flight get to finish after `Run.stop()`.
        worker: Name of this process in the records.
        checks: What responses below 400 have to be like.
        recrawl: Fetch again what earlier runs on this state have fetched; `None` does not.
        made_by: Name and digest of each part of the job that its requests are made by; a state that was made by others
            is refused.
        continues_anyway: It is not.
        secrets: Texts that are never written to a record, a summary or a message.
    """

    name: str
    run_id: str = field(default_factory=new_run_id)
    concurrency: int = 64
    timeout: Timeout = field(default_factory=_job_timeout)
    queue: float | None = None
    retry: RetryPolicy = RetryPolicy()
    politeness: Politeness = Politeness(limits=HostLimits(concurrency=8))
    stop: StopLimits = StopLimits()
    follow_redirects: bool = True
    max_redirects: int = 10
    cross_host_redirects: bool = True
    downgrade_redirects: bool = False
    body: BodyPolicy = BodyPolicy()
    download: DownloadPolicy | None = None
    bandwidth: float | None = None
    client: ClientOptions = ClientOptions()
    outputs: tuple[Output, ...] = ()
    state_dir: Path | None = None
    durability: Literal["batch", "full"] = "batch"
    input_id: str | None = None
    grace: float = 10.0
    worker: str = "main"
    checks: tuple[ResponseCheck, ...] = ()
    recrawl: RecrawlPolicy | None = None
    made_by: tuple[tuple[str, str], ...] = ()
    continues_anyway: bool = False
    secrets: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 1 <= self.concurrency <= 10_000:
            raise ValueError(f"concurrency must be between 1 and 10000, not {self.concurrency}")


@dataclass(slots=True)
class Item:
    """One request of a job.

    Not frozen: one is made per URL, and a frozen dataclass costs three times as much to fill.

    Attributes:
        url: Absolute http(s) URL.
        method: HTTP method.
        headers: Sent besides the client's, in this order.
        body: Request body.
        key: The caller's name for the row; stands in the record.
        meta: Whatever should come back in the record, JSON values only.
        priority: Higher ones are leased first.
        path: Name of the body's file below `BodyPolicy.directory`, with `/` between folders; `None` derives it from
            the URL.
        idempotent: Whether it may be sent again after a failure; `None` goes by the method.
        checksums: What a download must come to, as pairs of algorithm and hexadecimal digest.
        size: How many bytes a download must have.
        depth: Links between it and the start of a crawl.
        parent: `id` of the record of the page that named it.
        discovered_by: How it was found: `seed`, `link`, `sitemap`, `redirect`, `page`.
        page: Its number in a row of pages.
        refused: Error kind and message of a request that is never sent; it becomes a record at once.
        identity: What tells it apart from others of the same method and URL, in place of the body.
        memo: What a processor has to know when it sees the page, JSON values only; it stands in no record.
    """

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    key: str | None = None
    meta: dict[str, object] | None = None
    priority: int = 0
    path: str | None = None
    idempotent: bool | None = None
    checksums: tuple[tuple[str, str], ...] = ()
    size: int | None = None
    depth: int | None = None
    parent: str | None = None
    discovered_by: str | None = None
    page: int | None = None
    refused: tuple[str, str] | None = None
    memo: dict[str, object] | None = None
    identity: bytes | None = None


StopReason = Literal["interrupted", "terminated", "requested"]
"""Why a run was asked to stop: SIGINT (exit code 130), SIGTERM (143), a program (3)."""

RunState = Literal["finished", "stopped", "interrupted", "failed"]
"""`finished`: every URL has its final state; `stopped`: a limit or the disk ended it, resumable; `interrupted`: a
signal did, resumable; `failed`: a fault of ours."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        state: See `RunState`.
        exit_code: 0 ok, 1 some URLs failed, 3 incomplete, 4 disk, 7 internal, 130/143 interrupted.
        summary: The `crawler.summary/1` object, as written to `summary.json`.
        message: One sentence for people where the state needs one (which disk error, what to do next), else empty.
    """

    state: RunState
    exit_code: int
    summary: dict[str, object]
    message: str = ""
