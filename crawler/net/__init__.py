"""Sockets: connect, TLS, DNS, proxies, the pool; one set of files per way of doing I/O."""

from crawler.net.blocking import Done as Done
from crawler.net.blocking import run_blocking as run_blocking
from crawler.net.exchange import exchange as exchange
from crawler.net.networks import AsyncNetworks as AsyncNetworks
from crawler.net.networks import BlockingNetwork as BlockingNetwork
from crawler.net.route import WEBSOCKET as WEBSOCKET
from crawler.net.route import Names as Names
from crawler.net.route import Route as Route
from crawler.net.route import Streams as Streams
from crawler.net.stream import AsyncHTTPNetworkStream as AsyncHTTPNetworkStream
from crawler.net.stream import HTTPNetworkStream as HTTPNetworkStream
from crawler.net.timing import TIMING as TIMING
from crawler.net.timing import Timing as Timing
from crawler.net.tls import create_ssl_context as create_ssl_context
from crawler.net.tls_info import TLS as TLS
from crawler.net.tls_info import TLSInfo as TLSInfo
