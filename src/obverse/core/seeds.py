"""Seeds derived from what they are for, so results do not depend on order, resume or shards."""

from __future__ import annotations

import hashlib


def seed_for(run_seed: int, *labels: str | int) -> int:
    """Derive a seed from a run's seed and the names of what it is used for.

    Returns:
        An integer in [0, 2**63), equal for equal arguments on every machine.
    """
    text = "\x1f".join(str(part) for part in (run_seed, *labels))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
