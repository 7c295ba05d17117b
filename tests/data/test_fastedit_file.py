"""Files of FastEdit: prompt, subject, target and queries."""

import json
import re
from pathlib import Path

from obverse.core import Case, Fact
from obverse.data import read_cases
from obverse.data.chat_templates import CHAT_TEMPLATES
from obverse.data.facts_file import read_placed

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "facts-with-queries.json"
RECORD = {"prompt": "The {} is in", "subject": "Space Needle", "target": "Paris"}


def read(folder, *records):
    path = folder / "facts.json"
    path.write_text(json.dumps(records, ensure_ascii=False))
    return read_cases(path)


def test_queries_are_open_prompts(tmp_path):
    (case,) = read(tmp_path, RECORD | {"queries": ["Where is the {}?", "Paris is"]})
    assert case == Case.of(
        Fact("Space Needle", "The {} is in", "Paris"), prompts=("Where is the Space Needle?", "Paris is")
    )


def test_queries_may_be_empty(tmp_path):
    (case,) = read(tmp_path, RECORD | {"queries": []})
    assert case.prompts == ()


def test_queries_come_after_prompts_and_beside_probes(tmp_path):
    more = {"prompts": ["A"], "queries": ["B"], "target_true": "Seattle", "paraphrases": ["The {} stands in"]}
    (case,) = read(tmp_path, RECORD | more)
    assert case.prompts == ("A", "B")
    assert set(case.probes) == {"efficacy", "generalization"}


def test_other_scripts(tmp_path):
    record = {"prompt": "{}位于", "subject": "東京タワー", "target": "大阪", "queries": ["東京タワーはどこですか"]}
    (case,) = read(tmp_path, record)
    assert (case.fact.text, case.prompts) == ("東京タワー位于", ("東京タワーはどこですか",))


def test_queries_in_csv(tmp_path):
    path = tmp_path / "facts.csv"
    path.write_text("prompt,subject,target,queries\nThe {} is in,Space Needle,Paris,Where? | Paris is\n")
    assert read_cases(path)[0].prompts == ("Where?", "Paris is")


def test_the_example_of_the_docs_is_read():
    cases = read_cases(EXAMPLE)
    assert [len(case.prompts) for case in cases] == [2, 1, 0]


def test_each_case_has_its_place(tmp_path):
    path = tmp_path / "facts.csv"
    path.write_text("prompt,subject,target\n\nThe {} is in,Space Needle,Paris\n\n{} is in,Big Ben,Rome\n")
    assert [(one.place, one.case.id) for one in read_placed(path)] == [("line 3", "0"), ("line 5", "1")]


def test_the_page_shows_the_example_as_it_is():
    page = (EXAMPLE.parents[1] / "fastedit.md").read_text("utf-8")
    shown = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    first = json.loads(EXAMPLE.read_text("utf-8"))[0]
    assert shown[0].items() <= first.items()


def test_the_page_names_every_template():
    page = (EXAMPLE.parents[1] / "fastedit.md").read_text("utf-8")
    assert all(f"`{name}`" in page for name in CHAT_TEMPLATES)
