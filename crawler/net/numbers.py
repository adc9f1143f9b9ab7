"""Numbers of connections, for logs and records."""

import itertools

connection_numbers = itertools.count(1)
