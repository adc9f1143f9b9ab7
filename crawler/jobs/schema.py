"""The keys of a job file that work, as pydantic models; their field descriptions are the JSON Schema's.

What a key means stands in `docs/jobs.md`. Keys that are specified but do not work yet stand in `pending`, so that they
are refused in other words than a slip of the pen. Only this room imports this module.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from crawler.fanout.kinds import KINDS
from crawler.jobs.auth_schema import AuthSection
from crawler.jobs.bench_schema import Bench
from crawler.jobs.checks_schema import Check
from crawler.jobs.crawl_schema import CrawlSection, Robots, Sitemaps
from crawler.jobs.crew_schema import Workers
from crawler.jobs.dedupe_schema import Dedupe
from crawler.jobs.download_schema import ByteRateOrNull, Checksums, Download
from crawler.jobs.extract_schema import ExtractRule
from crawler.jobs.fields import (
    Anything,
    Bool,
    Duration,
    HeaderText,
    Limit,
    LimitOrNull,
    OneOrMany,
    PathText,
    RateOrNull,
    RatioOrNull,
    Reader,
    Schema,
    Size,
    SizeOrNull,
    Text,
    choice,
    nearest,
    number,
    show,
    text,
    whole,
)
from crawler.jobs.input_schema import Input
from crawler.jobs.output_schema import Output
from crawler.jobs.paginate_schema import PaginateSection
from crawler.jobs.polite_schema import Autothrottle, Circuit, HostEntry, PerHost, Stop
from crawler.jobs.recrawl_schema import RecrawlSection
from crawler.jobs.request_schema import Method, Request
from crawler.jobs.section import SECTION, describe
from crawler.jobs.service_schema import Network, Notify, Retention, Schedule
from crawler.jobs.thresholds import Limits
from crawler.jobs.transport_schema import Dns, Http, Tls
from crawler.jobs.watch_schema import Log, Telemetry

NAME_PATTERN: Final = r"[a-z0-9][a-z0-9._-]{0,62}"


def _parse_status(value: object) -> int | str:
    if value == "5xx":
        return "5xx"
    if isinstance(value, bool) or not isinstance(value, int) or not 400 <= value <= 599:
        raise ValueError(f"expected a status between 400 and 599, or 5xx, not {show(value)}")
    return value


def _parse_kind(value: object) -> str:
    import fnmatch

    if not isinstance(value, str):
        raise ValueError(f"expected an error kind like timeout_*, not {show(value)}")
    if not any(fnmatch.fnmatchcase(kind, value) for kind in KINDS):
        near = nearest(value, KINDS)
        raise ValueError(f"{show(value)} matches no error kind" + (f"; did you mean '{near}'?" if near else ""))
    return str(value)


Status = Annotated[int | str, Reader(_parse_status, {"anyOf": [{"type": "integer"}, {"const": "5xx"}]})]
Kind = Annotated[str, Reader(_parse_kind, {"type": "string", "examples": ["timeout_*", "connect_*"]})]
Words = Annotated[list[Text], OneOrMany()]
Paths = Annotated[list[PathText], OneOrMany()]


class Section(BaseModel):
    """Any mapping of the job file: unknown keys are refused."""

    model_config = SECTION


class UrlEntry(Checksums, Section):
    """One URL with what belongs to it; taken as written, not as templates."""

    url: Text
    """Absolute http(s) URL, or `/path` on the testbed."""
    method: Method | None = None
    """HTTP method; default `request.method`."""
    headers: dict[str, HeaderText] = {}
    """Headers of this request, besides `request.headers`."""
    body: Text | None = None
    """Request body as text."""
    json_: Annotated[Anything, Field(alias="json")] = None
    """Request body as JSON."""
    path: PathText | None = None
    """File name of the body below `download.dir`."""
    priority: Annotated[int, whole(-1000, 1000)] = 0
    """Higher ones are fetched first."""
    meta: dict[str, Anything] = {}
    """Comes back unchanged in the record."""


class _UrlOrMap:
    """A plain URL stands for a `UrlEntry` of it."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def wrap(value: object) -> object:
            return {"url": value} if not isinstance(value, dict) else value

        return core_schema.no_info_before_validator_function(wrap, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        return {"anyOf": [{"type": "string", "format": "uri-reference"}, handler(schema)]}


class TimeoutSection(Section):
    """Limits of one attempt; null is none. The clock starts when the request gets its slot."""

    queue: LimitOrNull = None
    """Longest wait for the host's turn and for a slot; then the request fails unsent (`deadline`)."""
    dns: LimitOrNull = 5.0
    """Name look-up; null counts it within `connect`."""
    connect: LimitOrNull = 10.0
    """TCP, and the way through a proxy."""
    tls: LimitOrNull = 10.0
    """TLS handshake; null counts it within `connect`."""
    ttfb: LimitOrNull = None
    """From the end of the request to the first byte of the answer; null and default: as `read`."""
    read: LimitOrNull = 30.0
    """Longest silence of the server."""
    total: LimitOrNull = 120.0
    """The whole attempt; no limit for downloads."""
    min_speed: ByteRateOrNull = None
    """Bytes per second below which a download is broken off (`too_slow`)."""
    min_speed_for: Limit = 30.0
    """For so long."""


class Backoff(Section):
    """The wait before the next try, drawn from base * factor ** tries."""

    base: Duration = 0.5
    """Wait after the first failure."""
    factor: Annotated[float, number(1)] = 2.0
    """Growth per try."""
    max: Duration = 60.0
    """Longest wait."""
    jitter: Annotated[Literal["full", "equal", "none"], choice("full", "equal", "none")] = "full"
    """Random share of the wait: all of it, its upper half, none."""


class Retry(Section):
    """When a failed request is sent again."""

    attempts: Annotated[int, whole(1, 20)] = 4
    """Tries in all; 1 is no retry."""
    rate_limit_attempts: Annotated[int, whole(1, 100)] = 8
    """Tries that may end `rate_limited`, counted apart."""
    status: Annotated[list[Status] | None, OneOrMany()] = None
    """Statuses worth a retry; default 408 429 500 502 503 504 522 524."""
    kinds: Annotated[list[Kind] | None, OneOrMany()] = None
    """Error kinds worth a retry, as patterns."""
    backoff: Backoff = Backoff()
    retry_after: Annotated[Literal["obey", "cap", "ignore"], choice("obey", "cap", "ignore")] = "obey"
    """What to do with the server's Retry-After."""
    max_wait: Limit = 600.0
    """Longest Retry-After that is waited for; a host that wants more is asked no more in this run."""
    budget: RatioOrNull = 0.1
    """Retries of one host as a share of its requests, besides a small reserve; null is no limit."""


class Redirects(Section):
    """Redirects."""

    follow: Bool = True
    """Follow them."""
    max: Annotated[int, whole(1, 100)] = 10
    """More than these fail with `redirect_limit`."""
    cross_host: Bool = True
    """Follow them to other hosts; else such a URL fails with `redirect_blocked`."""
    downgrade: Bool = False
    """Follow them from https to http."""


class Body(Section):
    """What happens to response bodies."""

    keep: Annotated[Literal["none", "file", "inline", "warc"], choice("none", "file", "inline", "warc")] = "none"
    """Count and hash only; a file each below `download.dir`; into the record; in the archive of an output."""
    memory_limit: Size = 1024 * 1024
    """Larger ones are written to disk piece by piece."""
    max_size: SizeOrNull = 100 * 1024 * 1024
    """Larger ones fail with `too_large`."""
    inline_max: Size = 64 * 1024
    """Larger ones are left out of the record."""
    decode: Bool = True
    """Undo the content coding (gzip, br, zstd)."""
    hash: Annotated[bool, Reader(lambda value: _parse_hash(value), {"enum": ["sha256", False]})] = True
    """`sha256`, or false for none."""


def _parse_hash(value: object) -> bool:
    if value == "sha256" or value is False:
        return value == "sha256"
    raise ValueError(f"expected sha256 or false, not {show(value)}")


class State(Section):
    """What a run needs to go on where it stopped."""

    dir: PathText | None = None
    """Folder; default `out/<name>/state`."""
    durability: Annotated[Literal["batch", "full"], choice("batch", "full", later=("none",))] = "batch"
    """Commit every 200 ms or 500 records; or wait for the disk at each commit."""


class Progress(Section):
    """What is shown while running."""

    mode: Annotated[Literal["auto", "bar", "lines", "none"], choice("auto", "bar", "lines", "none")] = "auto"
    """A bar on a terminal, JSON lines elsewhere; or always one of them."""
    interval: Limit = 10.0
    """Time between JSON lines."""


class JobFile(Section):
    """A job of crawler: which URLs to fetch, how, and where the records go."""

    version: Annotated[
        Literal[1], Reader(lambda value: _parse_version(value), {"const": 1, "description": "Version of the format."})
    ] = 1
    """Version of this format."""
    name: Annotated[
        str | None, text(63, NAME_PATTERN, "a name is made of a-z 0-9 . _ - and begins with a letter or digit")
    ] = None
    """Part of paths; default the file's name."""
    description: Annotated[str | None, text(500)] = None
    """For people."""
    kind: Annotated[Literal["fetch", "download", "crawl", "bench"], choice("fetch", "download", "crawl", "bench")] = (
        "fetch"
    )
    """What the job does: fetch each URL once, download files, follow links, or measure ways of fetching."""
    contact: Annotated[str | None, text(200, r"[\x21-\x7e]+", "an e-mail address or a URL")] = None
    """E-mail or URL, told to servers in the User-Agent."""
    tags: Annotated[list[Text], OneOrMany(), Field(max_length=20)] = []
    """Words to filter by."""
    extends: Paths = []
    """Job files this one is laid over: maps are merged, lists replaced."""
    env_file: Paths = []
    """Files of KEY=VALUE lines; the real environment wins."""
    vars: dict[str, Anything] = {}
    """Values to use as ${vars.name}."""
    testbed: Bool = False
    """Start the embedded test server for this run; URLs that begin with / are fetched from it."""
    urls: Annotated[list[Annotated[UrlEntry, _UrlOrMap()]] | None, OneOrMany()] = None
    """The URLs; this or `input`."""
    input: Input | None = None
    request: Request = Request()
    auth: AuthSection = AuthSection()
    checks: Annotated[list[Check], OneOrMany()] = []
    """What responses have to be like; all entries must hold."""
    paginate: PaginateSection | None = None
    """How one answer leads to the next."""
    dedupe: Dedupe = Dedupe()
    concurrency: Annotated[int, whole(1, 10_000)] = 64
    """Requests on the wire at once, of each worker."""
    workers: Workers = 1
    """Processes that fetch; auto is one per core. A host belongs to one of them."""
    per_host: PerHost = PerHost()
    hosts: Annotated[list[HostEntry], OneOrMany()] = []
    """Other limits for some hosts; the first that matches counts."""
    rate: RateOrNull = None
    """Starts per time of the whole job, like 100/s."""
    bandwidth: ByteRateOrNull = None
    """Bytes per second of all bodies together, like 20MiB/s."""
    autothrottle: Autothrottle = Autothrottle()
    circuit: Circuit = Circuit()
    timeout: TimeoutSection = TimeoutSection()
    retry: Retry = Retry()
    redirects: Redirects = Redirects()
    http: Http = Http()
    dns: Dns = Dns()
    tls: Tls = Tls()
    body: Body = Body()
    download: Download = Download()
    output: Annotated[list[Output], OneOrMany()] = [Output()]
    """Files of records."""
    state: State = State()
    stop: Stop = Stop()
    progress: Progress = Progress()
    bench: Bench = Bench()
    crawl: CrawlSection = CrawlSection()
    robots: Robots = Robots()
    sitemaps: Sitemaps = Sitemaps()
    extract: Annotated[list[ExtractRule], OneOrMany()] = []
    """What to take from pages, as rows of outputs with `records: items`; of a list, the first rule that matches."""
    thresholds: Limits = {}
    """`METRIC` or `ARM.METRIC` of a benchmark -> what it must keep, like "< 250ms"; else exit code 5."""
    schedule: Schedule | None = None
    """When `crawler serve` runs the job; `crawler run` runs it once, at once."""
    retention: Retention = Retention()
    log: Log | None = None
    """A line per failed attempt; without this section nothing is logged."""
    telemetry: Telemetry = Telemetry()
    notify: Annotated[list[Notify], OneOrMany(), Field(max_length=20)] = []
    """Who is told about runs of the service."""
    network: Network = Network()
    recrawl: RecrawlSection = RecrawlSection()


def _parse_version(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"expected 1, not {show(value)}")
    if value != 1:
        raise ValueError(f"this version of crawler reads job files of version 1, not {value}; a newer one may read it")
    return 1


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a job file, with descriptions and enumerations for editors."""
    describe(JobFile)
    schema = JobFile.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "crawler job",
        "patternProperties": {"^x-": {"description": "Ignored; a place for anchors."}},
    }
