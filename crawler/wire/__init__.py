"""HTTP on the wire, without I/O: bytes in, state out. No clock, no sockets."""

from crawler.wire.codecs import http1_reader as http1_reader
from crawler.wire.codecs import http2_connection as http2_connection
from crawler.wire.http1 import LAST_CHUNK as LAST_CHUNK
from crawler.wire.http1 import Http1Reader as Http1Reader
from crawler.wire.http1 import encode_chunk as encode_chunk
from crawler.wire.http1 import encode_request_head as encode_request_head
from crawler.wire.http2_api import ErrorCode as ErrorCode
from crawler.wire.http2_api import Http2Connection as Http2Connection
from crawler.wire.http2_api import Http2Stream as Http2Stream
