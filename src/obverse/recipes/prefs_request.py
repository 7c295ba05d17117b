"""What may be asked of `obverse.recipes.prefs.run_prefs`, and what is checked before any model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.core import ConfigError
from obverse.measuring.samples import BATCH
from obverse.measuring.scenarios import Scenario, check_names
from obverse.recipes.models import ModelChoice

if TYPE_CHECKING:
    from obverse.measuring.openai_server import CompletionServer


@dataclass(frozen=True, slots=True)
class KLRequest:
    """A divergence to measure beside the scores.

    Attributes:
        reference: The reference model; or give ``server``.
        server: The server that has the reference.
        number: How many texts are drawn (the paper's runs: 4096).
        length: Their tokens at most.
        prefix: Control text that the models under test are asked after, e.g. ``<|aligned|>``.
        every_line: Whether it stands after each line break too.
        reverse: Whether to measure KL(model || reference) as well.
        prompt: What the server draws texts after.
        seed: Seed of the draws.
    """

    reference: ModelChoice | None = None
    server: CompletionServer | None = None
    number: int = 512
    length: int = 64
    prefix: str = ""
    every_line: bool = False
    reverse: bool = False
    prompt: str = ""
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, without the server's key."""
        server = {"url": self.server.url, "model": self.server.model} if self.server else None
        reference = asdict(self.reference) if self.reference else None
        plain = {name: getattr(self, name) for name in ("number", "length", "prefix", "every_line", "prompt", "seed")}
        return {"reference": reference, "server": server, **plain}


@dataclass(frozen=True, slots=True)
class PrefsRequest:
    """What is asked.

    Attributes:
        scorer: Name of the scorer, ``package.module:Class``, or ``file.py:Class``.
        scenarios: What is written after what; of different names.
        models: The models to compare.
        files: Files of samples to compare with them, as `recipes.sample.run_sample` writes them.
        scorer_settings: Settings of the scorer.
        kl: A divergence to measure beside the scores; None measures none.
        out: Folder for everything; None keeps nothing. A stopped run goes on there.
        batch: Texts written at once.
        command: The command line that asks, for the page.
    """

    scorer: str
    scenarios: Sequence[Scenario]
    models: Sequence[ModelChoice] = (ModelChoice(),)
    files: Sequence[Path] = ()
    scorer_settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    kl: KLRequest | None = None
    out: Path | None = None
    batch: int = BATCH
    command: str | None = None


def check_prefs(request: PrefsRequest) -> None:
    """Refuse what cannot be done, before any model is loaded.

    Raises:
        ConfigError: If there is nothing to compare, or two things of one name; or no reference or two.
    """
    check_names(request.scenarios)
    names = [*(choice.name or "" for choice in request.models), *(str(path) for path in request.files)]
    if not names:
        raise ConfigError("There is no model and no file of samples.", "Name one at least.")
    if len(set(names)) < len(names):
        raise ConfigError(f"{max(names, key=names.count)!r} is named twice.", "Name each model and file once.")
    kl = request.kl
    if kl and (kl.reference is None) == (kl.server is None):
        raise ConfigError("KL needs one reference: a model or a server.", "Give one of them.")
