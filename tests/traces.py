"""Traces made by hand, no model needed; run as a program, it writes figures and pages to look at."""

import sys
from pathlib import Path

import numpy as np
import torch

from obverse.core import Fact, Interval
from obverse.locating.averages import Averages
from obverse.locating.trace import ROLES, CausalTrace
from obverse.model.fingerprint import Fingerprint

FINGERPRINT = Fingerprint("ab" * 32, "cd" * 32)
NEEDLE = ("<bos>", "The", " Space", " Needle", " is", " located", " in", " the", " city", " of")
HOME = ("<bos>", "The", " city", " of", " Seattle", " is", " the", " home", " of", " the", " Space")
KINDS = ("hidden", "mlp", "attn")


def trace(tokens=NEEDLE, subject=(1, 4), *, layers=18, kinds=KINDS, seed=0, answer=" Seattle", fact=None, window=10):
    """A trace with an early site at the last subject token and a late one at the last token."""
    draw = np.random.default_rng(seed)
    depth = np.arange(layers) / layers
    tables = {}
    for kind in kinds:
        table = 0.08 + 0.01 * draw.standard_normal((len(tokens), layers))
        table[subject[1] - 1] += 0.3 * np.exp(-(((depth - 0.35) / 0.2) ** 2)) * (kind != "attn")
        table[-1] += 0.35 / (1 + np.exp(-15 * (depth - 0.65))) * (kind != "mlp")
        table[: subject[0]] = 0.08
        tables[kind] = torch.from_numpy(table.clip(0, 1)).float()
    return CausalTrace(
        fact=fact or Fact("Space Needle", "The {} is located in the city of", "Seattle"), model="a-small-model",
        fingerprint=FINGERPRINT, answer=answer, answer_id=5, tokens=tuple(tokens), token_ids=tuple(range(len(tokens))),
        subject=range(*subject), clean=0.47, corrupted=0.08, restored=tables, window=window, noise="s3", level=0.13,
        replace=False, samples=10, seed=1,
    )  # fmt: skip


def reverse(**given):
    """A trace of the reverse statement; its subject is one token, so that no middle one is."""
    fact = Fact("Seattle", "The city of {} is the home of the Space", "Needle")
    return trace(HOME, (4, 5), seed=2, answer=" Needle", fact=fact, **given)


def averages(layers=18, n=100, kinds=KINDS):
    """Average effects; facts with middle subject tokens are fewer, and attention has none."""
    depth = np.arange(layers) / layers
    effects = {}
    for kind in kinds:
        effects[kind] = {}
        for i, role in enumerate(ROLES):
            peak = (0.02, 0.03, 0.12, 0.03, 0.01, 0.1)[i] * (0.3 if kind == "attn" else 1)
            means = peak * np.exp(-(((depth - 0.3 - 0.1 * i) / 0.2) ** 2)) - 0.003
            count = n if i != 1 else n - 30
            effects[kind][role] = tuple(Interval(m, m * 0.8 - 0.01, m * 1.2 + 0.01, count) for m in means.tolist())
    if "attn" in effects:
        effects["attn"]["middle subject tokens"] = (None,) * layers
    ends = {kind: Interval(0.2, 0.18, 0.22, n) for kind in kinds}
    return Averages(
        "a-small-model", FINGERPRINT, 10, "s3", 0.13, n, effects, Interval(0.41, 0.38, 0.44, n),
        Interval(0.1, 0.08, 0.12, n), Interval(0.31, 0.28, 0.34, n), ends, ends,
    )  # fmt: skip


if __name__ == "__main__":
    from obverse.locating.figures import average_lines, average_maps, difference_map, heat_maps
    from obverse.report.trace_page import write_averages_page, write_trace_page

    folder = Path(sys.argv[1])
    heat_maps([trace()], folder / "one.png")
    heat_maps([trace(), reverse()], folder / "two.png")
    difference_map(trace(), reverse(), folder / "difference.png")
    average_maps(averages(), folder / "average-maps.png")
    average_lines(averages(), folder / "average-lines.png")
    write_trace_page(folder / "one.html", [trace()])
    write_trace_page(folder / "two.html", [trace(), reverse()], reverse=True)
    write_averages_page(folder / "averages.html", averages(), skipped={"another answer": 31})
