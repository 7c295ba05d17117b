"""Which text should second moments be counted on? Edits whose v* is shared, closed with each corpus in turn.

    python -m benchmarks.corpora --model gemma-3-270m --offset 5000 --limit 50

Corpora: none (C = identity), the standard library's docstrings, text sampled from the model itself, and the prompts of
the fact set. Reports ES, PS and NS with 95 % intervals, the wall time of counting, and how far apart C⁻¹k points.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.edit_quality import DATA, successes, summary
from obverse.core import build
from obverse.data import read_cases
from obverse.editing._rows import look
from obverse.editing.contexts import contexts
from obverse.editing.edit import Edit, LowRank
from obverse.editing.moments import MomentConfig, SecondMoment, second_moment
from obverse.editing.presets import preset
from obverse.editing.rome import Rome, RomeConfig, closed_form
from obverse.editing.values import optimize
from obverse.model.language_model import LanguageModel


def moments_of(lm: LanguageModel, layer: int, prompts: Sequence[str], tokens: int) -> dict[str, SecondMoment | None]:
    """Count second moments on each corpus anew; prints the time each took."""
    found: dict[str, SecondMoment | None] = {"none (identity)": None}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompts.txt"
        file.write_text("\n\n".join(prompts), "utf-8")
        for name, source in (
            ("docstrings", "docstrings"),
            ("facts", "facts"),
            ("mixed", "mixed"),
            ("model", "model"),
            ("prompts", str(file)),
        ):
            began = time.monotonic()
            config = MomentConfig(corpus=source, tokens=tokens)
            moment = second_moment(lm, [layer], config, cache=Path(folder))[layer]
            found[f"{name} ({moment.count:,} keys)"] = moment
            sys.stderr.write(f"{name}: {moment.count} keys in {time.monotonic() - began:.0f} s\n")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gemma-3-270m")
    parser.add_argument("--path", type=Path, default=DATA)
    parser.add_argument("--offset", type=int, default=5000)
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    lm = LanguageModel.load(options.model)
    everything = read_cases(options.path)
    cases = everything[options.offset : options.offset + options.limit]
    config = build(RomeConfig, preset("rome", lm), overrides=options.set)
    (layer,) = Rome(config).layers(lm)
    prompts = [case.fact.text for case in everything[options.offset + options.limit :][:2000]]
    moments = moments_of(lm, layer, prompts, options.tokens)
    templates = contexts(lm, config.contexts)
    name = lm.architecture.mlp_out(layer)
    results = {corpus: [] for corpus in moments}
    for case in cases:
        looked = look(lm, layer, [case.fact], templates, config.lookup)
        (value,) = optimize(lm, layer, looked, config)
        for corpus, moment in moments.items():
            closed = closed_form(looked.keys[:-1], looked.values[:-1], value.target, moment, config.key)
            change = LowRank(closed.left[:, None], closed.right[:, None])
            edit = Edit({name: change}, (case.fact,), "rome", None, lm.fingerprint, lm.name, {})
            with edit.applied(lm):
                results[corpus].append(successes(lm, case))
    table = {"unedited": summary([successes(lm, case) for case in cases])}
    table |= {corpus: summary(rows) for corpus, rows in results.items()}
    sys.stdout.write(json.dumps({"model": options.model, "layer": layer, "cases": len(cases), "table": table}) + "\n")


if __name__ == "__main__":
    main()
