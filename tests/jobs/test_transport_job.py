"""Cookies, proxies, bodies from files, certificates: how a job's requests travel."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

import crawler
from crawler.client import AsyncHTTPTransport
from crawler.fanout import ClientOptions, Run
from crawler.fanout.cookie_file import COOKIE_FILE
from crawler.fanout.transport import RoundRobin, transport_of, trust_of
from crawler.jobs import JobError, load_job
from crawler.jobs.job import Job
from crawler.models import Limits
from crawler.net import Names
from crawler.testbed import Testbed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder: Path, text: str) -> Job:
    (folder / "job.yaml").write_text(text)
    return load_job("job.yaml")


def errors(folder: Path, text: str) -> str:
    with pytest.raises(JobError) as caught:
        load(folder, text)
    return str(caught.value)


def run(job: Job, bed: Testbed) -> list[dict[str, Any]]:
    """Run the job against a testbed and give its records with their bodies' JSON."""
    run = Run(job.plan(out="out"), job.items(testbed_url=bed.url), job.processor())
    anyio.run(run.execute)
    records = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    return [{**record, "json": json.loads(record["body"])} for record in records]


ONE_BY_ONE = "testbed: true\nconcurrency: 1\nbody: {keep: inline}\n"


def test_without_cookies_none_are_kept(folder: Path) -> None:
    """One URL's answer does not depend on which others came before."""
    with Testbed() as bed:
        records = run(load(folder, ONE_BY_ONE + "urls: [/cookies/set?a=1, /cookies]\n"), bed)
    assert [record["json"] for record in records] == [{"cookies": {}}, {"cookies": {}}]


def test_cookies_are_kept_with_the_state(folder: Path) -> None:
    """What a server set comes back, also in the run that goes on; the file is its owner's alone."""
    text = ONE_BY_ONE + "request: {cookies: true}\nurls: [/cookies/set?a=1, /cookies, /cookies?again]\n"
    with Testbed() as bed:
        first = run(load(folder, text + "stop: {requests: 1}\n"), bed)
        file = folder / "out" / "state" / COOKIE_FILE
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        records = run(load(folder, text), bed)

    assert len(first) == 1
    assert [record["json"]["cookies"] for record in records[1:]] == [{"a": "1"}] * 2


def test_a_broken_cookie_file_is_an_empty_one(folder: Path) -> None:
    """It costs a login, not the run."""
    file = folder / "out" / "state" / COOKIE_FILE
    file.parent.mkdir(parents=True)
    file.write_text('[{"name": 3}, 5')
    with Testbed() as bed:
        records = run(load(folder, ONE_BY_ONE + "request: {cookies: true}\nurls: [/cookies]\n"), bed)
    assert records[0]["json"] == {"cookies": {}}


def test_cookies_to_begin_with(folder: Path) -> None:
    """A mapping is sent to the hosts of the job, and is a secret."""
    text = ONE_BY_ONE + "request: {cookies: {session: sesame-open, b: '2'}}\nurls: [/cookies]\n"
    job = load(folder, text)
    with Testbed() as bed:
        records = run(job, bed)
    assert records[0]["json"]["cookies"] == {"session": "sesame-open", "b": "2"}
    assert job.merged()["request"] == {"cookies": {"session": "***", "b": "***"}}
    options = (
        load(folder, "urls: [https://a.example/, http://b.example:8/]\nrequest: {cookies: {s: x}}\n").plan().client
    )
    assert options.cookies == (("s", "x", "a.example"), ("s", "x", "b.example"))


def test_a_body_from_a_file(folder: Path) -> None:
    """Its content type goes by the suffix."""
    (folder / "query.json").write_text('{"a": 1}')
    text = ONE_BY_ONE + "request: {method: POST, body_file: query.json}\nurls: [/post]\n"
    with Testbed() as bed:
        (record,) = run(load(folder, text), bed)
    assert record["json"]["json"] == {"a": 1}
    assert record["json"]["headers"]["Content-Type"] == "application/json"
    before = load(folder, text).plan().input_id
    (folder / "query.json").write_text('{"a": 2}')
    assert load(folder, text).plan().input_id != before


def test_compression(folder: Path) -> None:
    """What is asked for can be chosen, also nothing."""
    for keys, header in (("[gzip]", "gzip"), ("[]", "identity"), ("[br, zstd]", "br, zstd")):
        job = load(folder, f"urls: [http://a/]\nhttp: {{compression: {keys}}}\n")
        assert dict(job.plan().client.headers)["Accept-Encoding"] == header


def test_one_proxy_and_several(folder: Path) -> None:
    """One takes all requests; of several, the requests of each host take one after the other."""
    one = load(folder, "urls: [http://a/]\nrequest: {proxy: 'http://u:p@proxy.example:3128'}\n")
    assert one.plan().client.proxy == "http://u:p@proxy.example:3128"
    assert one.merged()["request"] == {"proxy": "http://***@proxy.example:3128"}
    several = load(folder, "urls: [http://a/]\nrequest: {proxy: [http://p1/, socks5://p2/]}\n").plan().client
    assert (several.proxy, several.proxies) == (None, ("http://p1/", "socks5://p2/"))

    class Proxied(AsyncHTTPTransport):
        def __init__(self, name: str) -> None:
            self.name = name

        async def handle_async_request(self, request: crawler.Request) -> crawler.Response:
            return crawler.Response(200, text=self.name)

        async def aclose(self) -> None:
            pass

    async def ask() -> list[str]:
        async with crawler.AsyncClient(transport=RoundRobin([Proxied("1"), Proxied("2"), Proxied("3")])) as client:
            urls = ["http://a/", "http://a/", "http://b/", "http://a/", "http://b/", "http://a/"]
            return [(await client.get(url)).text for url in urls]

    assert anyio.run(ask) == ["1", "2", "1", "3", "2", "1"]
    assert isinstance(transport_of(several, Limits()), RoundRobin)


def test_requests_go_through_the_proxies(folder: Path) -> None:
    """A proxy that refuses connections is one that some requests fail by, and the others do not."""
    with Testbed() as bed:
        proxies = f"['{bed.url}', 'http://127.0.0.1:1']"
        text = f"request: {{proxy: {proxies}}}\nretry: {{attempts: 1}}\ncircuit: {{failures: null}}\n"
        job = load(folder, ONE_BY_ONE + text + "urls: ['http://origin.example/get?1', 'http://origin.example/get?2']\n")
        run = Run(job.plan(out="out"), job.items())
        anyio.run(run.execute)
    records = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    by_url = {record["url"][-1]: record for record in records}
    assert by_url["1"]["remote_port"] == int(bed.url.rpartition(":")[2])
    assert by_url["2"]["error"]["family"] in ("proxy", "connect")


def test_names(folder: Path) -> None:
    """The look-ups of a job have rules of their own only where it says so."""
    assert load(folder, "urls: [http://a/]\n").plan().client.names is None
    options = load(folder, "urls: [http://a/]\ndns: {cache_ttl: 1m, negative_ttl: 0s, family: ipv4}\n").plan().client
    assert options.names == Names(60.0, 0.0, "ipv4")
    with Testbed() as bed:
        local = bed.url.replace("127.0.0.1", "localhost")
        for family, outcome in (("ipv4", "ok"), ("ipv6", "failed")):
            job = load(folder, f"urls: [{local}/get]\nretry: {{attempts: 1}}\ndns: {{family: {family}}}\n")
            anyio.run(Run(job.plan(out=f"out/{family}"), job.items()).execute)
            (record,) = Path(f"out/{family}/results.jsonl").read_text().splitlines()
            assert json.loads(record)["outcome"] == outcome


def test_certificates(folder: Path) -> None:
    """A client certificate is shown, and the least version of TLS is kept."""
    authority = trustme.CA()
    authority.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    options = (
        load(
            folder,
            "urls: [https://a/]\ntls: {client_cert: client.pem, min_version: '1.3'}\nnetwork: {bind: 127.0.0.2}\n",
        )
        .plan()
        .client
    )
    context = trust_of(options)
    assert not isinstance(context, bool)
    assert context.minimum_version.name == "TLSv1_3"
    assert options.local_address == "127.0.0.2"
    assert trust_of(ClientOptions()) is True
    (folder / "client.pem").write_text("no certificate")
    assert "tls.client_cert: cannot be used: " in errors(folder, "urls: [https://a/]\ntls: {client_cert: client.pem}\n")


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("request: {cookies: {'a b': x}}", "request.cookies: 'a b' is no cookie name"),
        ("request: {cookies: {a: 'x;y'}}", "request.cookies: the value of a does not fit into a cookie"),
        ("request: {cookies: yes please}", "request.cookies: expected true, false or a mapping"),
        ("request: {proxy: ftp://p/}", "request.proxy[0]: expected http://, https:// or socks5://"),
        ("request: {method: POST, body_file: none.json}", "request.body_file: cannot read none.json: No such file"),
        ("request: {method: POST, body: x, body_file: y}", "request.body_file: a request has one body"),
        ("tls: {client_key: k.pem}", "tls.client_key: has no effect without `client_cert`"),
        ("tls: {client_cert: c.pem}", "tls.client_cert: there is no file c.pem"),
        ("network: {bind: eth0}", "network.bind: expected an IP address of this machine"),
        ("http: {compression: lzma}", "http.compression[0]: expected gzip or br or zstd or deflate"),
    ],
)
def test_findings(folder: Path, text: str, finding: str) -> None:
    """Mistakes are found at the start, secrets are not told."""
    assert finding in errors(folder, f"urls: [http://a/]\n{text}\n")


def test_cookies_need_hosts(folder: Path) -> None:
    """Nobody knows to whom the rows of a list would send them."""
    (folder / "l.txt").touch()
    text = "input: {path: l.txt}\nrequest: {cookies: {a: b}}\n"
    assert "request.cookies: a mapping is for the hosts that the job names" in errors(folder, text)
