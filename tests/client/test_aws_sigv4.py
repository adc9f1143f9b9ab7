"""Signatures, against the examples that AWS publishes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import crawler
from crawler.client.aws_sigv4 import AwsSigV4Auth

EXAMPLE_KEY = "AKIDEXAMPLE"
EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
S3_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def sign(auth: AwsSigV4Auth, request: crawler.Request) -> str:
    """The value of `Authorization` of the request as it is sent."""
    return str(next(auth.sync_auth_flow(request)).headers["Authorization"])


def suite_auth(service: str = "service", token: str | None = None) -> AwsSigV4Auth:
    """The credentials and the date of AWS's signature test suite."""
    return AwsSigV4Auth(
        EXAMPLE_KEY,
        EXAMPLE_SECRET,
        "us-east-1",
        service,
        session_token=token,
        clock=lambda: datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("method", "url", "signature"),
    [
        ("GET", "https://example.amazonaws.com/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "https://example.amazonaws.com/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
def test_signatures_of_the_test_suite(method: str, url: str, signature: str) -> None:
    """`get-vanilla`, `post-vanilla` and `get-vanilla-query-order-key-case` of the published suite."""
    value = sign(suite_auth(), crawler.Request(method, url))

    assert value == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


@pytest.mark.parametrize("path", ["/./", "//", "/example/..", "/example1/example2/../.."])
def test_paths_are_normalised_for_all_but_s3(path: str) -> None:
    """`normalize-path` of the published suite: all of these are signed as `/`."""
    request = crawler.Request("GET", crawler.URL("https://example.amazonaws.com/"))
    request.url = request.url.copy_with(raw_path=path.encode())

    assert sign(suite_auth(), request).endswith("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")


def test_the_content_type_is_signed() -> None:
    """The example of the IAM documentation, ListUsers."""
    request = crawler.Request(
        "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
    )
    value = sign(suite_auth("iam"), request)

    assert "SignedHeaders=content-type;host;x-amz-date" in value
    assert value.endswith("Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")


def s3_auth() -> AwsSigV4Auth:
    """The credentials of the examples of the S3 documentation."""
    return AwsSigV4Auth(
        "AKIAIOSFODNN7EXAMPLE", S3_SECRET, "us-east-1", "s3", clock=lambda: datetime(2013, 5, 24, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_s3_signs_the_hash_of_the_body_as_a_header(query: str, signature: str) -> None:
    """ "GET Bucket Lifecycle" and "Get Bucket" of the S3 documentation."""
    value = sign(s3_auth(), crawler.Request("GET", f"https://examplebucket.s3.amazonaws.com/{query}"))

    assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date" in value
    assert value.endswith(f"Signature={signature}")


def test_a_session_token_is_sent_and_signed() -> None:
    """Temporary credentials have three parts, and the third does not survive a redirect to another host."""
    request = crawler.Request("GET", "https://example.amazonaws.com/")
    value = sign(suite_auth(token="SESSION"), request)

    assert request.headers["X-Amz-Security-Token"] == "SESSION"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token" in value
    assert request.extensions["secret_headers"] == ("X-Amz-Security-Token",)


def test_each_attempt_is_signed_anew() -> None:
    """The same request sent again has one date and one signature, the new ones."""
    times = iter([datetime(2015, 8, 30, 12, 36, tzinfo=UTC), datetime(2015, 8, 30, 12, 50, tzinfo=UTC)])
    auth = AwsSigV4Auth(EXAMPLE_KEY, EXAMPLE_SECRET, "us-east-1", "service", clock=lambda: next(times))
    request = crawler.Request("POST", "https://example.amazonaws.com/", content=b"a")
    first, second = sign(auth, request), sign(auth, request)

    assert first != second
    assert request.headers.get_list("x-amz-date") == ["20150830T125000Z"]
