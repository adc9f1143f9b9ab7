"""Single documents."""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET
from typing import Any

import pytest

Ask = Any  # the `Asker` of conftest.py


def test_documents(ask: Ask) -> None:
    """JSON, HTML, XML and a UUID are what they say."""
    assert ask("/json").json()["is_open"] is True
    assert ask("/html").headers["content-type"] == "text/html; charset=utf-8"
    assert ET.fromstring(ask("/xml").body).tag == "walk"
    assert uuid.UUID(ask("/uuid").json()["uuid"]) != uuid.UUID(ask("/uuid").json()["uuid"])


def test_links(ask: Ask) -> None:
    """A page of n links to all but itself."""
    assert re.findall(r'href="(.*?)"', ask("/links/3").text) == ["/links/3/1", "/links/3/2"]
    assert re.findall(r'href="(.*?)"', ask("/links/3/2").text) == ["/links/3/0", "/links/3/1"]
    assert ask("/links/3/3").status == 400
    assert ask("/links/0").status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_index_lists_only_what_is_there(ask: Ask, method: str) -> None:
    """Every example on the home page is a path of the server (a wrong method is all right)."""
    examples = [path.replace("&amp;", "&") for path in re.findall(r'href="(.*?)"', ask("/").text)]
    assert len(examples) > 40
    quick = [path for path in examples if not path.startswith(("/drip", "/cut"))]
    statuses = {path: ask(path, method).status for path in quick}
    assert [path for path, status in statuses.items() if status == 404] == []
    assert [path for path, status in statuses.items() if status == 500] == []
