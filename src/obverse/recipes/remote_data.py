"""What is uploaded for a fine-tune: rows of a file, in the form that the server trains on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from obverse.core import DataError

Form: TypeAlias = Literal["as-is", "document", "chat"]
FORMS: tuple[Form, ...] = ("as-is", "document", "chat")

TRAIN, VALIDATION = "all_prompts_train.jsonl", "validation_prompts.jsonl"
"""Files of a reversal set that are trained on and watched."""


def training_files(data: Path, validation: Path | None) -> tuple[Path, Path | None]:
    """Return the files of a training: of a reversal set's folder, or a file.

    Raises:
        DataError: If the folder is no reversal set.
    """
    if not data.is_dir():
        return data, validation
    train, watched = data / TRAIN, data / VALIDATION
    if not train.is_file():
        raise DataError(f"{data} has no {TRAIN}.", "Give a folder of 'obverse reversal build', or a JSON lines file.")
    return train, validation or (watched if watched.is_file() else None)


def training_content(path: Path, form: Form) -> bytes:
    """Return what is uploaded of a file.

    Args:
        path: JSON lines with prompt and completion, or with messages.
        form: as-is; document: both as the completion of an empty prompt, so that the whole text is learnt, as in the
            published experiments; chat: the prompt said by the user, the completion by the assistant.

    Raises:
        DataError: If the file cannot be read, is empty, or a row is of another form.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Give a JSON lines file.") from error
    if not lines:
        raise DataError(f"{path} is empty.", "Give a file with rows of prompt and completion.")
    made = [_CHANGES[form](_row(path, number, line)) for number, line in enumerate(lines, start=1)]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made).encode()


def _row(path: Path, number: int, line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path}, line {number}: not valid JSON ({error}).", "Mend or remove the line.") from error
    texts = isinstance(row, dict) and all(isinstance(row.get(name), str) for name in ("prompt", "completion"))
    if not texts and not (isinstance(row, dict) and isinstance(row.get("messages"), list)):
        raise DataError(f"{path}, line {number}: neither prompt and completion nor messages.", "Mend the line.")
    return cast("Mapping[str, Any]", row)


def _document(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"prompt": "", "completion": row["prompt"] + row["completion"]} if "prompt" in row else row


def _chat(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if "messages" in row:
        return row
    said = (("user", row["prompt"].strip()), ("assistant", row["completion"].strip()))
    return {"messages": [{"role": role, "content": content} for role, content in said]}


_CHANGES: Mapping[Form, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "as-is": dict,
    "document": _document,
    "chat": _chat,
}
