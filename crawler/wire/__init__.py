"""HTTP on the wire, without I/O: bytes in, state out. No clock, no sockets."""

from crawler.wire.codecs import http1_reader as http1_reader
from crawler.wire.http1 import LAST_CHUNK as LAST_CHUNK
from crawler.wire.http1 import Http1Reader as Http1Reader
from crawler.wire.http1 import encode_chunk as encode_chunk
from crawler.wire.http1 import encode_request_head as encode_request_head
