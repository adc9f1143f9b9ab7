"""The HTTP client: auth, redirects, retries, transports, `Client` and `AsyncClient`, the top-level functions.

What few programs need is imported from its own file, so that the others need not wait for it: `aws_sigv4`, `host_auth`,
`key_auth`.
"""

from crawler.client.alias import alias_httpx as alias_httpx
from crawler.client.api import delete as delete
from crawler.client.api import get as get
from crawler.client.api import head as head
from crawler.client.api import options as options
from crawler.client.api import patch as patch
from crawler.client.api import post as post
from crawler.client.api import put as put
from crawler.client.api import query as query
from crawler.client.api import request as request
from crawler.client.api import stream as stream
from crawler.client.api import websocket as websocket
from crawler.client.auth import Auth as Auth
from crawler.client.auth import BasicAuth as BasicAuth
from crawler.client.auth import FunctionAuth as FunctionAuth
from crawler.client.client import AsyncClient as AsyncClient
from crawler.client.client import Client as Client
from crawler.client.digest import DigestAuth as DigestAuth
from crawler.client.netrc_auth import NetRCAuth as NetRCAuth
from crawler.client.oauth2 import BearerAuth as BearerAuth
from crawler.client.oauth2 import OAuth2ClientCredentials as OAuth2ClientCredentials
from crawler.client.transports import ASGITransport as ASGITransport
from crawler.client.transports import AsyncBaseTransport as AsyncBaseTransport
from crawler.client.transports import AsyncHTTPTransport as AsyncHTTPTransport
from crawler.client.transports import BaseTransport as BaseTransport
from crawler.client.transports import HTTPTransport as HTTPTransport
from crawler.client.transports import MockTransport as MockTransport
from crawler.client.transports import WSGITransport as WSGITransport
from crawler.client.websocket_session import AsyncWebSocketSession as AsyncWebSocketSession
from crawler.client.websocket_session import WebSocketSession as WebSocketSession
