"""Domains under which anybody may register names, so that no cookie may be set for them: the Public Suffix List.

The list (https://publicsuffix.org, some ten thousand rules) comes with the package publicsuffixlist, is read when the
first cookie asks for a domain above the host that set it (50 ms, 3 MB), and then costs some microseconds a look.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_list: PublicSuffixList | None = None


def is_public_suffix(domain: str) -> bool:
    """Whether anybody may register names under `domain` (lower-case, no dot at either end).

    A name of one label is one, known or not.

    Source: RFC 6265 §5.3 step 5; the list's own rules for wildcards and exceptions.
    """
    global _list
    if _list is None:
        from publicsuffixlist import PublicSuffixList

        _list = PublicSuffixList()
    is_public: bool = _list.is_public(domain)
    return is_public


@lru_cache(maxsize=4096)
def registrable_domain(host: str) -> str:
    """The part of a host's name that somebody registered: `b.co.uk` of `a.b.co.uk`; addresses and suffixes themselves.

    Source: the Public Suffix List.
    """
    if ":" in host or host.replace(".", "").isdigit():
        return host
    labels = host.rstrip(".").split(".")
    for at in range(1, len(labels)):
        if is_public_suffix(".".join(labels[at:])):
            return ".".join(labels[at - 1 :])
    return host
