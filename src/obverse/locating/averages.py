"""Average causal traces over facts, by the part a token plays and by layer: the AIE of the paper, with intervals.

Every token in a role is one observation, as in the paper: of a subject of five tokens, three are middle ones. The mean
of a role is therefore a ratio: the sum of the effects of all facts' tokens, over the number of those tokens. Tokens of
one fact are not independent of each other, but facts are, so facts are what the intervals count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from obverse.core import ConfigError, Interval, UnknownName
from obverse.locating.trace import ROLES, TRACE_KINDS, CausalTrace, Role, TraceKind
from obverse.model.fingerprint import Fingerprint

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class Peak(NamedTuple):
    """Where a role's average effect is largest.

    Attributes:
        layer: Layer, or centre of the window of layers, from 0.
        effect: The average indirect effect there.
    """

    layer: int
    effect: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Averages:
    """Effects averaged over the traces of many facts.

    Attributes:
        model: Name of the model.
        fingerprint: What model it was.
        window: Number of layers of a window (``mlp`` and ``attn``).
        noise: The noise rule as it was given, e.g. ``s3``.
        level: What a draw was multiplied by; 3 sigma for ``s3``.
        n: Number of facts.
        effects: Average indirect effect by kind, role and layer. Its n is the number of facts that have a token in the
            role; where none has, all layers are None.
        clean: Probability of the answer after the plain prompt.
        corrupted: The same with a corrupted subject.
        total_effect: Clean less corrupted.
        best: By kind, the mean over facts of a fact's largest indirect effect, wherever it is.
        best_at_subject: The same among the layers at the last subject token.
    """

    model: str
    fingerprint: Fingerprint
    window: int
    noise: str
    level: float
    n: int
    effects: Mapping[TraceKind, Mapping[Role, tuple[Interval | None, ...]]]
    clean: Interval
    corrupted: Interval
    total_effect: Interval
    best: Mapping[TraceKind, Interval]
    best_at_subject: Mapping[TraceKind, Interval]

    @classmethod
    def of(cls, traces: Sequence[CausalTrace]) -> Averages:
        """Average traces.

        Args:
            traces: At least one, all of one model, made with the same settings.

        Raises:
            ConfigError: If there is none, or two differ in model, kinds, window or noise.

        Source:
            Meng et al. 2022, "Locating and Editing Factual Associations in GPT", section 2.2 and appendix B.1.
        """
        if not traces:
            raise ConfigError("There is no trace to average.", "Give the traces of some facts.")
        _check_alike(traces)
        first = traces[0]
        kinds = first.kinds
        counts = np.array([[len(tokens) for tokens in trace.roles.values()] for trace in traces], float)  # fact role
        effects: dict[TraceKind, Mapping[Role, tuple[Interval | None, ...]]] = {}
        best: dict[TraceKind, Interval] = {}
        best_at_subject: dict[TraceKind, Interval] = {}
        for kind in kinds:
            tables = [trace.indirect_effect(kind).double().cpu().numpy() for trace in traces]
            sums = np.stack([_sums(trace, table) for trace, table in zip(traces, tables, strict=True)])
            effects[kind] = {role: _by_layer(sums[:, i], counts[:, i]) for i, role in enumerate(ROLES)}
            best[kind] = _mean([table.max() for table in tables])
            last = [trace.subject.stop - 1 for trace in traces]
            best_at_subject[kind] = _mean([table[e].max() for e, table in zip(last, tables, strict=True)])
        return cls(
            model=first.model,
            fingerprint=first.fingerprint,
            window=first.window,
            noise=first.noise,
            level=first.level,
            n=len(traces),
            effects=effects,
            clean=_share([trace.clean for trace in traces]),
            corrupted=_share([trace.corrupted for trace in traces]),
            total_effect=_mean([trace.total_effect for trace in traces]),
            best=best,
            best_at_subject=best_at_subject,
        )

    @property
    def kinds(self) -> tuple[TraceKind, ...]:
        """What was restored, in the order of `TRACE_KINDS`."""
        return tuple(kind for kind in TRACE_KINDS if kind in self.effects)

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.effects[self.kinds[0]]["last subject token"])

    def peak(self, kind: TraceKind, role: Role) -> Peak | None:
        """Return the layer with the largest average effect; None if no fact has a token in the role.

        Raises:
            UnknownName: If the kind was not traced.
        """
        if kind not in self.effects:
            raise UnknownName.among("kind", kind, self.kinds)
        found = [Peak(layer, effect) for layer, effect in enumerate(self.effects[kind][role]) if effect is not None]
        return max(found, key=lambda peak: peak.effect.mean, default=None)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a kind, role and layer: kind, role, layer, mean, low, high, n; none for absent roles."""
        import pandas as pd

        rows = [
            (kind, role, layer, effect.mean, effect.low, effect.high, effect.n)
            for kind in self.kinds
            for role in ROLES
            for layer, effect in enumerate(self.effects[kind][role])
            if effect is not None
        ]
        return pd.DataFrame(rows, columns=["kind", "role", "layer", "mean", "low", "high", "n"])

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)


def _check_alike(traces: Sequence[CausalTrace]) -> None:
    first, *others = [
        {
            "model": str(trace.fingerprint),
            "kinds": ", ".join(trace.kinds),
            "window": trace.window,
            "noise": f"{trace.noise} (level {trace.level:g}{', in place' if trace.replace else ''})",
        }
        for trace in traces
    ]
    for number, other in enumerate(others, start=2):
        differing = [f"{key}: {first[key]} and {other[key]}" for key in first if first[key] != other[key]]
        if differing:
            raise ConfigError(
                f"Traces 1 and {number} cannot be averaged; they differ in {'; '.join(differing)}.",
                "Average traces of one model, made with the same settings.",
            )


def _sums(trace: CausalTrace, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of the effects over the tokens in each role, (role, layer)."""
    return np.stack([table[tokens.start : tokens.stop].sum(0) for tokens in trace.roles.values()])


def _by_layer(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[Interval | None, ...]:
    """Return a role's mean at each layer, with its interval.

    With S_i the sum and c_i the number of fact i's tokens, the mean is r = ΣS / Σc, and its variance, facts being
    drawn, n / (n - 1) · Σ(S_i - r c_i)² / (Σc)² (the linearized ratio estimator). Where each fact has one token this is
    the usual standard error of a mean.

    Departs from ROME's notebook, which divides the standard deviation over tokens by the root of the number of prompts:
    too wide for roles in which a prompt has several tokens.

    Args:
        sums: (fact, layer).
        counts: (fact,).
    """
    has = counts > 0
    n = int(has.sum())
    if n == 0:
        return (None,) * sums.shape[1]
    sums, counts = sums[has], counts[has]
    total = counts.sum()
    means = sums.sum(0) / total
    if n == 1:
        return tuple(Interval(mean, mean, mean, 1) for mean in means.tolist())
    squares = ((sums - counts[:, None] * means) ** 2).sum(0)
    halves = student(n - 1) * np.sqrt(n / (n - 1) * squares) / total
    return tuple(
        Interval(mean, mean - half, mean + half, n) for mean, half in zip(means.tolist(), halves.tolist(), strict=True)
    )


def _mean(values: Sequence[float]) -> Interval:
    (found,) = _by_layer(np.array(values, float)[:, None], np.ones(len(values)))
    assert found is not None  # there is a value
    return found


def _share(values: Sequence[float]) -> Interval:
    """Return the mean of probabilities, its interval within their range."""
    mean = _mean(values)
    return Interval(mean.mean, max(0.0, mean.low), min(1.0, mean.high), mean.n)


def student(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t, to 1 % with two degrees of freedom, 0.02 % from five on.

    Source:
        Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5.
    """
    if degrees == 1:
        return 12.706
    z, v = 1.959964, degrees
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / v**power for power, term in enumerate(terms, start=1))
