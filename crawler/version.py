"""The version, in one place: the build reads it from here, and so does the `User-Agent`."""

from typing import Final

__version__: Final = "0.1.0"
