"""Fetch many URLs from Python: fast, politely, resumably."""

from crawler.version import __version__ as __version__
