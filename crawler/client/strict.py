"""The script of a client that is stricter than asked by default; apart, so that others do not pay for it."""

from __future__ import annotations

from crawler.client.auth import Auth
from crawler.client.script import Script
from crawler.client.settings import Settings
from crawler.client.worlds import World
from crawler.errors import UnsupportedProtocol
from crawler.models import Request, Response
from crawler.models.url import without_credentials


class StrictScript(Script):
    """A `Script` with one or both of two switches.

    Args:
        settings, world: See `Script`.
        raises_for_status: A final response outside 2xx is an `HTTPStatusError`; one that streams is closed then.
        https_only: No request goes out but to https, no redirect's and no auth flow's either.
    """

    __slots__ = ("_https_only", "_raises_for_status")

    def __init__(self, settings: Settings, world: World, *, raises_for_status: bool, https_only: bool) -> None:
        super().__init__(settings, world)
        self._raises_for_status = raises_for_status
        self._https_only = https_only

    async def send(self, request: Request, auth: Auth | None, follow: bool, stream: bool) -> Response:
        """See `Script.send`.

        Raises:
            HTTPStatusError: By the first switch.
            UnsupportedProtocol: By the second.
        """
        response = await super().send(request, auth, follow, stream)
        if self._raises_for_status and not response.is_success:
            await self._world.close(response)
            response.raise_for_status()
        return response

    async def _attempt(self, request: Request, whole: bool) -> Response:
        if self._https_only and request.url.scheme != "https":
            url = without_credentials(request.url)
            raise UnsupportedProtocol(f"This client is https_only; refused: {url}.", request=request)
        return await super()._attempt(request, whole)
