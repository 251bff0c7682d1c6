"""Label Studio: the head of a ranking as tasks with predictions, and its annotations back as corrections.

Files only; nothing here talks to a server. A task's data carries what a correction needs, so an export stands alone.
Choices stand in XML, which cannot hold every character; they are label names with control characters made visible.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from scorer.errors import DataError
from scorer.review.answers.corrections import Correction, Verdict
from scorer.review.examples import Example, Examples
from scorer.system.files import replacing, writing
from scorer.system.visible_text import visible

TASKS_FILE = "tasks.json"
CONFIG_FILE = "config.xml"

# Names of the controls in the labelling configuration.
LABEL, REMARK, TEXT = "label", "remark", "text"
REMARKS: tuple[Verdict, ...] = ("unsure", "drop")
# What a correction takes from a task's data: its field, where it stands there, its type. Label Studio calls the task
# itself `id`, so the row's goes by another name.
_CARRIED: Sequence[tuple[str, str, type]] = (
    ("id", "row_id", str),
    ("row", "row", int),
    ("rank", "rank", int),
    ("text_hash", "text_hash", str),
    ("given_label", "given_label", str),
)


def write_tasks(examples: Examples, folder: Path) -> tuple[Path, Path]:
    """Write tasks.json and the labelling configuration config.xml into a folder.

    Returns:
        Both files.

    Raises:
        OutputError: the folder cannot be written.
    """
    tasks = [_task(example, examples) for example in examples.items]
    pairs = any(example.text_pair is not None for example in examples.items)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    contents = {
        folder / TASKS_FILE: json.dumps(tasks, ensure_ascii=False, indent=1) + "\n",
        folder / CONFIG_FILE: labelling_config(examples.label_names, pairs=pairs),
    }
    for file, content in contents.items():
        with writing(file), replacing(file) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return folder / TASKS_FILE, folder / CONFIG_FILE


def labelling_config(label_names: Sequence[str], *, pairs: bool = False) -> str:
    """The project's labelling configuration: the text, the labels, and what else can be said of a row."""
    lines = [
        "<View>",
        '  <Header value="Given: $given_label, predicted: $predicted_label, loss $loss" size="5"/>',
        f'  <Text name="{TEXT}" value="$text"/>',
        *(['  <Text name="text_pair" value="$text_pair"/>'] if pairs else []),
        f'  <Choices name="{LABEL}" toName="{TEXT}" choice="single" showInline="true">',
        *(f"    <Choice value={quoteattr(visible(name))}/>" for name in label_names),
        "  </Choices>",
        f'  <Choices name="{REMARK}" toName="{TEXT}" choice="single" showInline="true">',
        *(f'    <Choice value="{remark}"/>' for remark in REMARKS),
        "  </Choices>",
        "</View>",
    ]
    return "\n".join(lines) + "\n"


def _task(example: Example, examples: Examples) -> dict[str, Any]:
    names = examples.label_names
    choice = {
        "from_name": LABEL,
        "to_name": TEXT,
        "type": "choices",
        "value": {"choices": [visible(names[example.predicted])]},
    }
    data = {
        "text": example.text,
        "row_id": example.id,
        "row": example.row,
        "rank": example.rank,
        "source_file": example.source_file,
        "text_hash": example.text_hash,
        "given_label": names[example.label],
        "predicted_label": names[example.predicted],
        "loss": round(example.loss, 4),
    }
    if example.text_pair is not None:
        data["text_pair"] = example.text_pair
    score = round(example.probabilities[example.predicted], 6)
    return {"data": data, "predictions": [{"model_version": examples.model, "score": score, "result": [choice]}]}


def read_annotations(file: Path, label_names: Sequence[str]) -> list[Correction]:
    """Read an export of Label Studio, as JSON or JSON-MIN, as corrections; tasks without annotations are passed over.

    A skipped task counts as unsure, as does the remark "unsure"; the remark "drop" outweighs a label.

    Raises:
        DataError: the file cannot be read, is no such export, or names a label that the model does not have.
    """
    try:
        tasks = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read '{file}': {error.strerror or error}. Check the path.") from error
    except ValueError as error:
        raise DataError(f"'{file}' is not JSON: {error}. {_EXPECTED}") from error
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise DataError(f"'{file}' holds no list of tasks. {_EXPECTED}")
    corrections = []
    for number, task in enumerate(tasks, start=1):
        where = f"task {number:,} of '{file}'"
        try:
            corrections += [
                _correction(task, annotation, label_names, where) for annotation in _annotations(task, where)
            ]
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise DataError(f"{where} has annotations of another form ({error!r}). {_EXPECTED}") from error
    return corrections


_EXPECTED = "Export the project from Label Studio as JSON or JSON-MIN."


def _annotations(task: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Each annotation of a task as label, remark, skipped, annotator, at; the task's data is the same in all."""
    if "annotations" not in task:  # JSON-MIN: a flat task is one annotation
        if LABEL in task or REMARK in task:
            yield {
                LABEL: _chosen(task.get(LABEL), where),
                REMARK: _chosen(task.get(REMARK), where),
                "skipped": False,
                "annotator": task.get("annotator"),
                "at": task.get("updated_at"),
            }
        return
    for annotation in task["annotations"]:
        chosen = {
            result["from_name"]: _chosen(result["value"], where)
            for result in annotation.get("result", ())
            if result.get("type") == "choices" and result["value"].get("choices")
        }
        skipped = bool(annotation.get("was_cancelled"))
        if chosen or skipped:
            yield {
                **chosen,
                "skipped": skipped,
                "annotator": annotation.get("completed_by"),
                "at": annotation.get("updated_at") or annotation.get("created_at"),
            }


def _chosen(value: Any, where: str) -> str | None:
    """The one choice that an annotation makes: by itself, in a list, or in a record of choices.

    Raises:
        DataError: there are several; a row has one label.
    """
    choices = value.get("choices", ()) if isinstance(value, Mapping) else value
    choices = [choices] if isinstance(choices, str) else list(choices or ())
    if len(choices) > 1:
        raise DataError(
            f"{where} holds several choices where one is to be made: {', '.join(map(str, choices))}. Let one of them "
            "stand in Label Studio, and export again."
        )
    return choices[0] if choices else None


def _correction(
    task: Mapping[str, Any], annotation: Mapping[str, Any], label_names: Sequence[str], where: str
) -> Correction:
    data = task.get("data", task)
    for _, name, kind in _CARRIED:
        if not isinstance(data.get(name), kind):
            raise DataError(
                f"{where}: '{name}' is {data.get(name)!r}. These tasks are not those that scorer to-label-studio "
                "wrote, or their data was changed."
            )
    choice = annotation.get(LABEL)
    label = None if choice is None else _label(choice, label_names, where)
    verdict = _verdict(label, annotation.get(REMARK), data["given_label"], skipped=annotation["skipped"])
    return Correction(
        **{field: data[name] for field, name, _ in _CARRIED},
        verdict=verdict,
        corrected_label=label if verdict == "relabel" else None,
        source_file=data.get("source_file"),
        annotator=_annotator(annotation["annotator"]),
        at=_in_seconds(annotation["at"]),
        source="label-studio",
    )


def _label(choice: str, label_names: Sequence[str], where: str) -> str:
    names = {visible(name): name for name in label_names}
    if choice not in names:
        raise DataError(f"{where}: there is no label '{choice}'; the model's labels are {', '.join(label_names)}.")
    return names[choice]


def _verdict(label: str | None, remark: str | None, given: str, *, skipped: bool) -> Verdict:
    if remark == "drop" and not skipped:
        return "drop"
    if skipped or remark == "unsure" or label is None:
        return "unsure"
    return "keep" if label == given else "relabel"


def _annotator(value: Any) -> str | None:
    """Exports name people by number, by address, or by a record that holds both."""
    if isinstance(value, Mapping):
        value = value.get("email") or value.get("id")
    return None if value is None else str(value)


def _in_seconds(at: Any) -> str | None:
    """Label Studio's 2026-11-24T06:30:00.123456Z without the fraction."""
    if not isinstance(at, str):
        return None
    whole, _, fraction = at.partition(".")
    return whole + ("Z" if fraction.endswith("Z") else "") if fraction else whole
