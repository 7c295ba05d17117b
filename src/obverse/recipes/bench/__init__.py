"""Run editors over whole data sets, one edit at a time, in batches or one upon the other, and compare what held."""

from obverse.recipes.bench.data import Dataset, load_dataset
from obverse.recipes.bench.methods import MethodRun, plan_methods
from obverse.recipes.bench.request import BenchPlan, BenchRequest, Schedule
from obverse.recipes.bench.results import Bench, read_bench
from obverse.recipes.bench.run import run_bench

__all__ = [
    "Bench", "BenchPlan", "BenchRequest", "Dataset", "MethodRun", "Schedule", "load_dataset", "plan_methods",
    "read_bench", "run_bench",
]  # fmt: skip
