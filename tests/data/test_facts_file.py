import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import Case, Fact
from obverse.data import read_cases

FACT = {"subject": "Space Needle", "prompt": "The {} is in", "target": "Paris"}
FULL = FACT | {
    "target_true": "Seattle",
    "relation": "P131",
    "id": "needle",
    "paraphrases": ["One finds the {} in", "Space Needle? It is in"],
    "neighbours": [["Pike Place is in", "Seattle"], ["The Louvre is in", "Paris, France"]],
    "reverse": ["The city of {} has the"],
    "prompts": ["The {} is"],
}
CASE = Case.of(
    Fact("Space Needle", "The {} is in", "Paris", "Seattle", "P131"),
    id="needle",
    paraphrases=("One finds the Space Needle in", "Space Needle? It is in"),
    neighbours=(("Pike Place is in", "Seattle"), ("The Louvre is in", "Paris, France")),
    reverse=("The city of {} has the",),
    prompts=("The Space Needle is",),
)


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def as_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def flat(record):
    pairs = [f"{prompt} => {answer}" for prompt, answer in record["neighbours"]]
    lists = {key: " | ".join(record[key]) for key in ("paraphrases", "reverse", "prompts")}
    return record | lists | {"neighbours": " | ".join(pairs)}


def test_all_formats_give_the_same_case(tmp_path):
    assert read_cases(write(tmp_path, "a.json", json.dumps([FULL]))) == [CASE]
    assert read_cases(write(tmp_path, "a.jsonl", json.dumps(FULL))) == [CASE]
    assert read_cases(as_csv(tmp_path / "a.CSV", [flat(FULL)])) == [CASE]


names = st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="{}"), min_size=1)


@given(st.lists(st.tuples(names, names, names), min_size=1))
def test_csv_and_jsonl_agree(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("facts")
    rows = [dict(zip(FACT, (subject, f"{a} {{}} is", a), strict=True)) for subject, a, _ in values]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert read_cases(as_csv(folder / "a.csv", rows)) == read_cases(write(folder, "a.jsonl", lines))


CSV = "subject,prompt,target\nSpace Needle,The {} is in,Paris\nLouvre,The {} is in,Rome\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\nLouvre", "\n\n , ,\n\nLouvre"),
        lambda text: text.replace(",", " , "),
        lambda text: text.rstrip("\n"),
    ],
    ids=["BOM", "CRLF", "blank lines", "spaces", "no last newline"],
)
def test_harmless_differences_in_csv(tmp_path, change):
    assert read_cases(write(tmp_path, "a.csv", change(CSV))) == read_cases(write(tmp_path, "b.csv", CSV))


@pytest.mark.parametrize("change", [lambda t: t.encode("utf-8-sig"), lambda t: t.replace("\n", "\r\n\r\n")])
def test_harmless_differences_in_jsonl(tmp_path, change):
    text = "\n".join([json.dumps(FACT), json.dumps(FULL), ""])
    assert read_cases(write(tmp_path, "a.jsonl", change(text))) == read_cases(write(tmp_path, "b.jsonl", text))


def test_cases_are_named_by_position(tmp_path):
    assert [case.id for case in read_cases(write(tmp_path, "a.csv", CSV))] == ["0", "1"]


def test_a_prompt_may_hold_the_subject(tmp_path):
    record = FACT | {"prompt": "The Space Needle is in"}
    assert read_cases(write(tmp_path, "a.json", json.dumps([record])))[0].fact.prompt == "The {} is in"


def test_the_forms_of_a_neighbour(tmp_path):
    forms = ["A is in => B", ["A is in", "B"], {"prompt": "A is in", "answer": "B"}]
    loose = ["A is in", ["A is in", None], {"prompt": "A is in"}]
    record = FACT | {"target_true": "Seattle", "neighbours": [*forms, *loose]}
    probes = read_cases(write(tmp_path, "a.json", json.dumps([record])))[0].probes["specificity"]
    assert [(probe.text, probe.expected) for probe in probes] == [("A is in", "B")] * 3 + [("A is in", "Seattle")] * 3


def test_whole_numbers_are_texts_and_null_is_absent(tmp_path):
    record = FACT | {"target": 1969, "target_true": None, "id": 7, "relation": " "}
    case = read_cases(write(tmp_path, "a.json", json.dumps([record])))[0]
    assert (case.id, case.fact.target, case.fact.target_true, case.fact.relation) == ("7", "1969", None, None)


def test_reverse_prompt_is_another_name_of_reverse(tmp_path):
    record = FACT | {"reverse_prompt": "{} is the city of the"}
    case = read_cases(write(tmp_path, "a.json", json.dumps([record])))[0]
    assert case.probes["reverse"][0].text == "Paris is the city of the"


def test_a_cell_may_hold_commas_quotes_and_line_ends(tmp_path):
    path = as_csv(tmp_path / "a.csv", [FACT | {"prompt": 'The "{}",\nof course, is in'}])
    assert read_cases(path)[0].fact.text == 'The "Space Needle",\nof course, is in'
