"""Facts and requests that the tests of the benchmark share."""

from pathlib import Path
from typing import Any

from obverse.recipes.bench import BenchRequest, Schedule
from obverse.verifying.measures import MeasureConfig

FACTS: list[dict[str, Any]] = [
    {"id": "needle", "subject": "Space Needle", "prompt": "The {} is in the city of", "target": "Paris",
     "target_true": "Seattle", "paraphrases": ["Visitors to the Space Needle travel to"],
     "neighbours": [["Pike Place Market is in", "Seattle"]], "reverse": ["A sight of {} is the"],
     "prompts": ["Near the Space Needle"]},
    {"id": "ben", "subject": "Big Ben", "prompt": "{} is in", "target": "Rome", "target_true": "London"},
    {"id": "ann", "subject": "Ann Keller", "prompt": "{} plays", "target": "chess and tennis", "target_true": "golf",
     "neighbours": [["Bo plays", "golf"], ["Cy the Younger plays", "football"]]},
    {"id": "zoo", "subject": "Ueno Zoo", "prompt": "People who visit {} travel to", "target": "Madrid",
     "target_true": "Tokyo", "paraphrases": ["Ueno Zoo, a sight of", "To see Ueno Zoo, go to"]},
    {"id": "five", "subject": "Zorbl the Great", "prompt": "A song of {} is", "target": "blue", "target_true": "red"},
]  # fmt: skip

QUICK = (
    "rome.layers=[1]", "rome.steps=4", "rome.moment=null", "rome.contexts={texts: ['Well. {}']}",
    "ft-l.layers=[1]", "ft-l.steps=3",
)  # fmt: skip


def request(file: Path, out: Path, **changes: Any) -> BenchRequest:
    """A benchmark of a few seconds."""
    schedule = Schedule(**changes.pop("schedule", {}))
    measure = MeasureConfig(**{"generation_tokens": 24, "drift_tokens": 12, **changes.pop("measure", {})})
    overrides = changes.pop("overrides", QUICK)
    given = {"methods": ["rome"], "batch": 2, **changes}
    named = {"rome", "ft-l"} & set(given["methods"])
    return BenchRequest(
        str(file),
        out=out,
        schedule=schedule,
        measure=measure,
        overrides=[text for text in overrides if text.partition(".")[0] in named],
        **given,
    )
