"""A trace keeps within the memory allowed."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import ConfigError, Fact
from obverse.locating._cells import groups_of
from obverse.locating._sizes import Sizes, packed
from obverse.locating.noise import Noise
from obverse.locating.trace import TRACE_KINDS
from obverse.locating.tracing import TraceConfig, trace_all

_PEAK = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
import torch
torch.set_num_threads(1)
from families import tiny
from obverse.core import Fact
from obverse.locating.noise import Noise
from obverse.locating.tracing import TraceConfig, trace_all

def peak():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024

lm = tiny("llama", num_hidden_layers={layers}, hidden_size=128, intermediate_size=384, max_position_embeddings=512)
noise = Noise("0.5", "normal", 0.5)
trace_all(lm, [Fact("Rome", "{{}} is", "x")], TraceConfig(samples=1), noise=noise)
before = peak()
fact = Fact("Big Ben", "x " * 97 + "{{}} is in", "x")
(trace,) = trace_all(lm, [fact], TraceConfig(memory={memory}, samples=20), noise=noise)
print(len(trace.tokens), peak() - before)
"""


# As many layers as make the runs of a whole number of copies fill their share of the memory.
@pytest.mark.parametrize(("memory", "layers", "share"), [(0.15, 16, 0.8), (0.6, 18, 0.9)])
def test_peak_memory_stays_below_what_is_allowed(memory, layers, share):
    if not Path("/proc/self/status").is_file():
        pytest.skip("peak memory is read from /proc, which this system has not")
    root = Path(__file__).parents[2]
    code = _PEAK.format(root=str(root), tests=str(root / "tests"), memory=memory, layers=layers)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    tokens, peak = map(int, done.stdout.split())
    assert tokens >= 190
    assert peak < share * memory * 1e9


def test_too_little_memory_is_refused_and_what_is_asked_for_suffices(tiny_lm):
    lm, noise = tiny_lm("gpt2"), Noise("0.5", "normal", 0.5)
    fact = Fact("Big Ben", "x " * 40 + "{} is in", "x")
    with pytest.raises(ConfigError, match=r"does not fit into 0\.0001 GB") as caught:
        trace_all(lm, [fact], TraceConfig(memory=0.0001), noise=noise)
    needed = float(caught.value.hint.split("memory=")[1].split()[0])
    trace_all(lm, [fact], TraceConfig(memory=needed, samples=1, kinds=("hidden",)), noise=noise)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), min_size=1, max_size=6), st.floats(0.001, 0.05))
def test_batches_hold_every_copy_once_in_order(tiny_lm, shapes, memory):
    sizes = Sizes.of(tiny_lm("gpt2"), memory, 2, 0)
    lengths = sorted(8 * length for length, _ in shapes)
    copies = [(fact, sample) for fact, (_, samples) in enumerate(shapes) for sample in range(samples)]
    try:
        batches = list(sizes.batches(copies, lengths))
    except ConfigError:
        assert 2 * lengths[-1] * sizes.recorded > 0.4 * memory * 1e9
        return
    assert [copy for batch in batches for copy in batch] == copies


@given(st.integers(1, 8), st.integers(1, 12), st.integers(1, 30), st.sets(st.sampled_from(TRACE_KINDS), min_size=1))
def test_packing_keeps_every_cell_and_no_pack_is_too_large(n_layers, window, most, kinds):
    groups = groups_of(sorted(kinds), n_layers, window)
    cells = sorted((cell.kind, cell.layer) for group in groups for cell in group)
    assert cells == sorted((kind, layer) for kind in kinds for layer in range(n_layers))
    packs = list(packed(groups, most))
    assert sorted((cell.kind, cell.layer) for pack in packs for group in pack for cell in group) == cells
    assert all(sum(len(group) for group in pack) <= most for pack in packs)
    assert all(not group[0].branch for pack in packs for group in pack)
