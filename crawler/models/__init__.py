"""What is sent and what comes back: URLs, headers, cookies, bodies, requests, responses, settings. No I/O."""

from crawler.models.codes import codes as codes
from crawler.models.config import DEFAULT_LIMITS as DEFAULT_LIMITS
from crawler.models.config import DEFAULT_MAX_REDIRECTS as DEFAULT_MAX_REDIRECTS
from crawler.models.config import DEFAULT_TIMEOUT as DEFAULT_TIMEOUT
from crawler.models.config import USE_CLIENT_DEFAULT as USE_CLIENT_DEFAULT
from crawler.models.config import Limits as Limits
from crawler.models.config import Proxy as Proxy
from crawler.models.config import Retry as Retry
from crawler.models.config import Timeout as Timeout
from crawler.models.config import UseClientDefault as UseClientDefault
from crawler.models.content import AsyncByteStream as AsyncByteStream
from crawler.models.content import BodyMeter as BodyMeter
from crawler.models.content import ByteStream as ByteStream
from crawler.models.content import SyncByteStream as SyncByteStream
from crawler.models.cookies import Cookies as Cookies
from crawler.models.decoders import accept_encoding as accept_encoding
from crawler.models.headers import Headers as Headers
from crawler.models.headers import HeadTemplate as HeadTemplate
from crawler.models.query import QueryParams as QueryParams
from crawler.models.request import Request as Request
from crawler.models.response import Response as Response
from crawler.models.retry_after import parse_retry_after as parse_retry_after
from crawler.models.sse import EventSource as EventSource
from crawler.models.sse import ServerSentEvent as ServerSentEvent
from crawler.models.url import URL as URL
from crawler.models.url import Origin as Origin
