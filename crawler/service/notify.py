"""Sends one message by one channel: a signed webhook, an e-mail, a program.

    X-Crawler-Timestamp: 1780000000
    X-Crawler-Signature: sha256=HMAC-SHA256(secret, "1780000000." + body), hexadecimal

The receiver computes the same and compares in constant time; an old timestamp is a replay. A message may come twice
(after a kill between sending it and noting that): `run_id` tells.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import smtplib
import time
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from crawler.client import AsyncClient
from crawler.errors import HTTPError, InvalidURL
from crawler.jobs.network import guard_of
from crawler.jobs.service_schema import Email, Network, Notify, Webhook
from crawler.service.settings import Settings, worker_environment

MAX_TRIES: Final = 5
TIMEOUT_S: Final = 15.0
COMMAND_TIMEOUT_S: Final = 60.0


class Failed(Exception):
    """The message was not delivered; it is tried again."""


def wait_before(tries: int) -> float:
    """Seconds before the next try: 10, 40, 160, 640."""
    return 10.0 * 4.0 ** (tries - 1)


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of `X-Crawler-Signature`."""
    digest = hmac.new(secret.encode("utf-8"), b"%d." % timestamp + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


async def send(notify: Notify, body: dict[str, Any], network: Network, settings: Settings) -> None:
    """Send a message.

    Raises:
        Failed: It was not taken.
    """
    if notify.webhook is not None:
        guard = guard_of(network, public_only=True, allow=settings.allow)
        await _post(notify.webhook, orjson.dumps(body), guard)
    elif notify.email is not None:
        await asyncio.to_thread(_mail, notify.email, body, settings.smtp_url)
    elif notify.command is not None:
        await _call(notify.command, body)


async def _post(webhook: Webhook, body: bytes, guard: Callable[[str], bool] | None) -> None:
    headers = {"Content-Type": "application/json", "X-Crawler-Timestamp": str(now := int(time.time()))}
    if webhook.secret is not None:
        headers["X-Crawler-Signature"] = signature(webhook.secret, now, body)
    try:
        async with AsyncClient(timeout=TIMEOUT_S, trust_env=False, address_guard=guard) as client:
            response = await client.post(webhook.url, content=body, headers=headers)
    except (HTTPError, InvalidURL, OSError) as error:
        raise Failed(f"{type(error).__name__}: {error}") from error
    if not response.is_success:  # redirects too: a message goes where the job says, and nowhere else
        raise Failed(f"the webhook answered {response.status_code}")


def _mail(email: Email, body: dict[str, Any], url: str | None) -> None:
    if url is None:
        raise Failed("there is no server for e-mail; set CRAWLER_SMTP_URL")
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    message = EmailMessage()
    message["Subject"] = f"[crawler] {body['job']}: {', '.join(body['events'])}"
    message["From"] = query.get("from", [f"crawler@{parts.hostname or 'localhost'}"])[0]
    message["To"] = ", ".join(email.to)
    message.set_content(_letter(body))
    make = smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP
    try:
        with make(parts.hostname or "localhost", parts.port or 0, timeout=TIMEOUT_S) as server:
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls()
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise Failed(f"{type(error).__name__}: {error}") from error


def _letter(body: dict[str, Any]) -> str:
    lines = [
        f"{body['job']}: {', '.join(body['events'])}",
        "",
        f"run      {body['run_id']}",
        f"state    {body['state']}",
    ]
    lines += [f"{name:8} {body[name]}" for name in ("exit_code", "reason", "message") if body[name] not in (None, "")]
    lines += [f"{outcome:8} {n}" for outcome, n in body["counts"].items() if n]
    lines += ["", *(f"{error['n']:8} {error['kind']}" for error in body["errors"])]
    return "\n".join(lines) + "\n"


async def _call(command: list[str], body: dict[str, Any]) -> None:
    environment = worker_environment(inline=False)
    environment |= {"CRAWLER_RUN_ID": str(body["run_id"]), "CRAWLER_JOB": str(body["job"])}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
    except (OSError, ValueError) as error:
        raise Failed(f"{command[0]}: {error}") from error
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            await process.communicate(orjson.dumps(body))
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise Failed(f"{command[0]} did not end within {COMMAND_TIMEOUT_S:g} s") from error
    if process.returncode:
        raise Failed(f"{command[0]} ended with {process.returncode}")
