"""Words and sentences of the synthetic corpus, all made up for it; towns and streets are invented."""

from __future__ import annotations

FIRST = (
    "Anna", "Ben", "Clara", "David", "Elsa", "Frank", "Greta", "Hugo", "Irma", "Jonas", "Karin", "Leo", "Mara", "Nils",
    "Olga", "Paul", "Rosa", "Simon", "Tilda", "Victor",
)  # fmt: skip
LAST = (
    "Abel", "Berg", "Crane", "Dahl", "Ebner", "Field", "Gale", "Holm", "Ivers", "Kemp", "Lund", "Moss", "Noble", "Orr",
    "Pell", "Quist", "Reed", "Stone", "Thorn", "Wells",
)  # fmt: skip
STREETS = (
    "Alder",
    "Birch",
    "Cedar",
    "Drover",
    "Elm",
    "Falcon",
    "Garnet",
    "Heron",
    "Ivy",
    "Juniper",
    "Kestrel",
    "Linden",
)
WAYS = ("Street", "Road", "Lane", "Avenue")
TOWNS = ("Ashmere", "Brindle", "Corwick", "Dunmoor", "Eastvale", "Fernham", "Glimford", "Hollin", "Inverby", "Kelsow")
DOMAINS = ("example.com", "example.org", "example.net")

TRADE = (
    "baker", "gardener", "teacher", "sailor", "doctor", "painter", "miller", "farmer", "carpenter", "clerk", "pilot",
    "weaver", "cook", "judge", "driver", "potter",
)  # fmt: skip
THING = (
    "boat", "lamp", "table", "letter", "clock", "basket", "window", "ladder", "book", "kettle", "bridge", "garden",
    "cart", "mirror", "barrel", "coat", "map", "violin", "stove", "gate",
)  # fmt: skip
QUALITY = (
    "grey", "small", "green", "quiet", "heavy", "bright", "wooden", "round", "narrow", "cold", "clean", "bare", "soft",
    "strange", "broken", "plain",
)  # fmt: skip
PAST = (
    "sold", "mended", "found", "painted", "carried", "moved", "watched", "bought", "borrowed", "cleaned", "kept",
    "measured", "lost", "covered",
)  # fmt: skip
PLACE = (
    "harbour", "market", "mill", "forest", "station", "school", "river", "church", "valley", "orchard", "library",
    "tower", "meadow", "square",
)  # fmt: skip
TIME = (
    "in the morning", "after dinner", "last week", "at noon", "before the storm", "every summer", "on Monday",
    "at night", "in the rain", "all winter",
)  # fmt: skip
FEELING = ("glad", "tired", "proud", "curious", "calm", "hungry", "late", "patient")

LISTS = {
    "first": FIRST, "last": LAST, "trade": TRADE, "thing": THING, "other": THING, "quality": QUALITY, "past": PAST,
    "place": PLACE, "time": TIME, "feeling": FEELING,
}  # fmt: skip
"""What a template's name in braces stands for."""

CLEAN = (
    "The {quality} {thing} stood near the {place}.",
    "The {trade} {past} the {thing} {time}.",
    "{first} {past} a {quality} {thing} {time}.",
    "{first} walked to the {place} {time}.",
    "{first} {last} was a {trade} and {feeling}.",
    "There was a {thing} beside the {quality} {other}.",
    "Nobody at the {place} was {feeling} {time}.",
    "The {trade} and the {quality} {thing} were late.",
    "{first} asked the {trade} about the {thing}.",
    "A {quality} {thing} is worth a {other}.",
    "They met at the {place} {time}.",
    "The way to the {place} was {quality}.",
    "{first} was {feeling}, for the {thing} was {quality}.",
    "Every {trade} needs a {quality} {thing}.",
)
"""Sentences with nothing personal but a name."""

DIRTY = {
    "email": ("Write to {pii} for the {thing}.", "{first} reads {pii} {time}.", "The {trade} uses {pii} now."),
    "phone": ("Call {pii} {time}.", "{first} answers {pii}.", "The {trade} has the number {pii}."),
    "card": ("The card is {pii}.", "{first} paid with {pii}.", "Charge {pii} for the {thing}."),
    "ssn": ("{first} gave the number {pii}.", "The file of {last} is {pii}.", "Keep {pii} for the {trade}."),
    "address": ("{first} lives at {pii}.", "Send the {thing} to {pii}.", "The {trade} moved to {pii}."),
}
"""Sentences by the kind of personal information that stands in them."""
