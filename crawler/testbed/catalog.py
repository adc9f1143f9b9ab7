"""What the shop under `/site/` sells: six categories of ten products, always the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PAGE_SIZE: Final = 4
"""Products on one page of a category."""

CURRENCY: Final = "EUR"

_CATEGORIES: Final = {
    "tea": "Tea",
    "coffee": "Coffee",
    "mugs": "Mugs",
    "books": "Books",
    "lamps": "Lamps & Light",
    "garden": "Garden",
}
_ADJECTIVES: Final = (
    "Amber",
    "Birch",
    "Copper",
    "Drift",
    "Elder",
    "Frost",
    "Granite",
    "Harbour",
    "Indigo",
    "Juniper",
)
_NOUNS: Final = {
    "tea": "Leaf",
    "coffee": "Roast",
    "mugs": "Mug",
    "books": "Almanac",
    "lamps": "Lamp",
    "garden": "Trowel",
}


@dataclass(frozen=True, slots=True)
class Product:
    """One product.

    Attributes:
        sku: Its number in the shop and in its URL, such as `TEA-001`.
        name: What the page's heading says.
        category: The slug of its category.
        price_cents: Price in hundredths of `CURRENCY`.
        is_available: Whether it is in stock; every seventh is not.
        description: One sentence, also the page's meta description.
    """

    sku: str
    name: str
    category: str
    price_cents: int
    is_available: bool
    description: str

    @property
    def price(self) -> str:
        """The price with two decimals."""
        return f"{self.price_cents // 100}.{self.price_cents % 100:02d}"

    @property
    def path(self) -> str:
        """The path of its page."""
        return f"/site/product/{self.sku}"


def _products() -> list[Product]:
    products = []
    for row, (slug, noun) in enumerate(_NOUNS.items()):
        for column, adjective in enumerate(_ADJECTIVES):
            number = row * len(_ADJECTIVES) + column
            name = f"{adjective} {noun}"
            products.append(
                Product(
                    sku=f"{slug[:3].upper()}-{column + 1:03d}",
                    name=name,
                    category=slug,
                    price_cents=499 + 137 * number % 4_500,
                    is_available=number % 7 != 6,
                    description=f"{name}: number {column + 1} of our {_CATEGORIES[slug].lower()}, made to last.",
                )
            )
    return products


CATEGORIES: Final = _CATEGORIES
"""Slug to title."""

PRODUCTS: Final = {product.sku: product for product in _products()}
"""All sixty, by SKU."""


def in_category(slug: str) -> list[Product]:
    """Return the products of a category in the shop's order."""
    return [product for product in PRODUCTS.values() if product.category == slug]


def page_count(slug: str) -> int:
    """Return how many pages a category has."""
    return -(-len(in_category(slug)) // PAGE_SIZE)
