"""What all mappings of the job file have in common."""

from __future__ import annotations

from typing import Final

from pydantic import ConfigDict

SECTION: Final = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)
"""Unknown keys are refused; the docstring of a field is its description."""
