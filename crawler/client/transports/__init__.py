"""What requests are sent through: the network, or something that takes its place."""

from crawler.client.transports.asgi import ASGITransport as ASGITransport
from crawler.client.transports.base import AsyncBaseTransport as AsyncBaseTransport
from crawler.client.transports.base import BaseTransport as BaseTransport
from crawler.client.transports.http import AsyncHTTPTransport as AsyncHTTPTransport
from crawler.client.transports.http import HTTPTransport as HTTPTransport
from crawler.client.transports.mock import MockTransport as MockTransport
from crawler.client.transports.wsgi import WSGITransport as WSGITransport
