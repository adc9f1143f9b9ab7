"""`auth`: which credentials a job sends, and to whom."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import crawler
from crawler.client import Auth
from crawler.fanout import Run
from crawler.jobs import JobError, load_job
from crawler.jobs.job import Job

URLS = "urls: [https://api.example/v1, http://127.0.0.1:8/]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder: Path, text: str, **environment: str) -> Job:
    (folder / "job.yaml").write_text(text)
    return load_job("job.yaml", (), environment)


def errors(folder: Path, text: str) -> list[str]:
    with pytest.raises(JobError) as caught:
        load(folder, text)
    return [line.partition(": ")[2] for line in str(caught.value).splitlines()]


def sent(auth: Auth | None, url: str = "https://api.example/v1") -> crawler.Request:
    """The first request of the flow of a job's auth."""
    assert auth is not None
    return next(auth.sync_auth_flow(crawler.Request("GET", url)))


@pytest.mark.parametrize(
    ("keys", "header", "value"),
    [
        ("{type: basic, username: u, password: p}", "Authorization", "Basic dTpw"),
        ("{type: bearer, token: abc}", "Authorization", "Bearer abc"),
        ("{type: header, header: X-Api-Key, value: abc}", "X-Api-Key", "abc"),
        ("{type: digest, username: u, password: p}", "Authorization", None),
        ("{type: none}", "Authorization", None),
    ],
)
def test_each_type_authenticates(folder: Path, keys: str, header: str, value: str | None) -> None:
    """The keys of a type make the credentials of the request."""
    auth = load(folder, f"{URLS}auth: {keys}\n").plan().client.auth
    assert (None if auth is None else sent(auth).headers.get(header)) == value


def test_a_key_in_the_query(folder: Path) -> None:
    """Type `query` adds a parameter."""
    auth = load(folder, f"{URLS}auth: {{type: query, name: k, value: a b}}\n").plan().client.auth
    assert str(sent(auth).url) == "https://api.example/v1?k=a+b"


def test_a_signature(folder: Path) -> None:
    """Type `aws_sigv4` signs."""
    keys = "{type: aws_sigv4, access_key: AK, secret_key: SK, region: eu-central-1, service: es, token: T}"
    request = sent(load(folder, f"{URLS}auth: {keys}\n").plan().client.auth)
    assert "/eu-central-1/es/aws4_request" in request.headers["Authorization"]
    assert request.headers["X-Amz-Security-Token"] == "T"


def test_a_token_is_fetched(folder: Path) -> None:
    """Type `oauth2_client_credentials` asks the token endpoint first."""
    keys = (
        "{type: oauth2_client_credentials, token_url: 'https://id.example/t', client_id: i, client_secret: s, scope: x}"
    )
    request = sent(load(folder, f"{URLS}auth: {keys}\n").plan().client.auth)
    assert (request.method, str(request.url)) == ("POST", "https://id.example/t")
    assert request.content == b"grant_type=client_credentials&scope=x"


def test_netrc(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Type `netrc` reads the file that NETRC names; one that is not there is a finding."""
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    text = f"{URLS}auth: {{type: netrc}}\n"
    assert errors(folder, text) == [f"auth: cannot read {folder / 'netrc'}: No such file or directory"]
    (folder / "netrc").write_text("machine api.example login u password p\n")
    assert sent(load(folder, text).plan().client.auth).headers["Authorization"] == "Basic dTpw"
    (folder / "netrc").write_text("machine api.example nonsense\n")
    assert "is malformed" in errors(folder, text)[0]


@pytest.mark.parametrize(
    ("text", "url", "gets"),
    [
        (URLS, "https://api.example/other", True),
        (URLS, "http://api.example/", False),
        (URLS, "http://127.0.0.1:8/", True),
        (URLS, "https://other.example/", False),
        ("input: l.txt\nrequest: {url: 'https://api.example/{url}'}\n", "https://api.example/", True),
        ("input: l.txt\nrequest: {url: 'https://api.example/{url}'}\n", "https://evil.example/", False),
        ("testbed: true\nurls: [/a]\n", "http://127.0.0.1:4711/a", True),
        (f"{URLS}", "https://api.example:444/", False),
    ],
)
def test_only_the_hosts_of_the_job_get_credentials(folder: Path, text: str, url: str, gets: bool) -> None:
    """By default the hosts that the job names, by scheme and port."""
    (folder / "l.txt").touch()
    text = text.replace("input: l.txt", "input: {path: l.txt}")
    auth = load(folder, f"{text}auth: {{type: bearer, token: abc}}\n").plan().client.auth
    assert ("Authorization" in sent(auth, url).headers) is gets


def test_hosts_may_be_named(folder: Path) -> None:
    """`auth.hosts` is all that counts then."""
    auth = load(folder, f"{URLS}auth: {{type: bearer, token: abc, hosts: '*.corp.example'}}\n").plan().client.auth
    assert "Authorization" in sent(auth, "https://a.corp.example/").headers
    assert "Authorization" not in sent(auth, "https://api.example/").headers


@pytest.mark.parametrize(
    ("keys", "findings"),
    [
        ("{type: basic, username: u}", ["auth: `type: basic` needs `password`"]),
        ("{type: bearer, token: t, scope: x}", ["auth.scope: has no effect with `type: bearer`"]),
        ("{token: t}", ["auth.token: has no effect with `type: none`"]),
        ("{hosts: x}", ["auth.hosts: has no effect with `type: none`"]),
        (
            "{type: oauth2_client_credentials, token_url: /t, client_id: i, client_secret: s}",
            ["auth.token_url: '/t' has no scheme and host; only a job with `testbed: true` takes such URLs"],
        ),
        (
            "{type: barer, token: t}",
            [
                "auth.type: expected none or basic or bearer or header or query or digest or oauth2_client_credentials"
                " or aws_sigv4 or netrc, not 'barer'; did you mean 'bearer'?"
            ],
        ),
    ],
)
def test_keys_of_another_type_are_errors(folder: Path, keys: str, findings: list[str]) -> None:
    """Each type has its own keys, all of them needed."""
    assert errors(folder, f"{URLS}auth: {keys}\n") == findings


def test_hosts_are_needed_where_the_input_names_them(folder: Path) -> None:
    """Nobody knows to whom the rows of a list would send the credentials."""
    (folder / "l.txt").touch()
    text = "input: {path: l.txt}\nauth: {type: bearer, token: t}\n"
    assert errors(folder, text) == [
        "auth.hosts: is needed, as the hosts stand in the input; name those that may get the credentials"
    ]


def test_credentials_are_not_shown(folder: Path) -> None:
    """The printed job has the variable's name or stars, also where nothing in the key's name says "secret"."""
    job = load(
        folder,
        f"{URLS}auth: {{type: oauth2_client_credentials, token_url: 'https://id.example/t', client_id: '${{WHO}}',"
        " client_secret: sesame}\n",
        WHO="me-myself",
    )
    assert job.merged()["auth"] == {
        "type": "oauth2_client_credentials",
        "token_url": "https://id.example/t",
        "client_id": "${WHO}",
        "client_secret": "***",
    }
    assert job.mask("me-myself said sesame to https://id.example/t") == "*** said *** to https://id.example/t"


def test_a_key_in_the_query_is_in_no_record(folder: Path) -> None:
    """Not as the URL, not as the final URL, not in the error's text."""
    job = load(folder, "urls: [https://api.example/v1]\nauth: {type: query, name: k, value: 'open sesame'}\n")
    asked: list[str] = []

    def answer(request: crawler.Request) -> crawler.Response:
        asked.append(str(request.url))
        if len(asked) == 1:
            return crawler.Response(302, headers={"Location": "/v2?k=open%20sesame&k2=open+sesame"})
        raise crawler.ConnectError("no open sesame here", request=request)

    async def run() -> None:
        plan = job.plan(out=folder / "out")
        client = crawler.AsyncClient(transport=crawler.MockTransport(answer), auth=plan.client.auth)
        async with client:
            await Run(plan, job.items(), client=client).execute()

    anyio.run(run)
    assert asked[0] == "https://api.example/v1?k=open+sesame"
    for file in (folder / "out").rglob("*.json*"):
        assert "sesame" not in file.read_text(), file
    assert "***" in (folder / "out" / "results.jsonl").read_text()
