"""Domains under which anybody may register names, so that no cookie may be set for them.

The full Public Suffix List has ten thousand entries and changes weekly. Here are the pattern that most countries follow
and the best-known shared hosts: what is missed lets one customer of a small registry set a cookie for another, which is
what every client without the list does.
"""

from __future__ import annotations

from typing import Final

_REGISTRY_WORDS = """
ac adm art asn asso blog biz co com coop csiro ed edu eng firm gen go gob gouv gov gv id idf in ind inf info int jus k12
law lg ltd me med mil mobi mod mus muni museum name ne net nhs nic nom nome ns on or org parliament plc police press pro
pub qld res rs sa sch school state store tas tm travel tv vet vic wa web
"""
_SHARED_WORDS = """
appspot.com azurewebsites.net blogspot.com cloudfront.net firebaseapp.com fly.dev github.io gitlab.io herokuapp.com
netlify.app onrender.com pages.dev readthedocs.io surge.sh vercel.app web.app wordpress.com workers.dev
"""

# Second levels of registries; before a two-letter top level each is a public suffix.
_REGISTRY_LABELS: Final = frozenset(_REGISTRY_WORDS.split())
# Hosts of many owners.
_SHARED_HOSTS: Final = frozenset(_SHARED_WORDS.split())


def is_public_suffix(domain: str) -> bool:
    """Whether anybody may register names under `domain` (lower-case, no dot at either end), as far as is known here."""
    labels = domain.split(".")
    if len(labels) == 1:
        return True
    if len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _REGISTRY_LABELS:
        return True
    return domain in _SHARED_HOSTS
