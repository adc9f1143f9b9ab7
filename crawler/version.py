"""The version, in one place: the build reads it from here (by pattern), and so does the `User-Agent`."""

__version__ = "0.1.0"
