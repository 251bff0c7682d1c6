"""A checkpoint's config.json: read, judged, and loaded as the configuration of a single-label text classifier.

Imports `transformers`, and only when a checkpoint is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.errors import ExportError
from scorer.export.checkpoint.class_names import class_names
from scorer.export.checkpoint.files import check_file
from scorer.export.checkpoint.settings import check_settings, check_writer
from scorer.export.checkpoint.weights import brief, needs_remote_code


def read_config(location: str, options: Mapping[str, Any], *, hub: bool) -> Mapping[str, Any]:
    """The content of config.json, once it is certain that the installed transformers knows the model.

    Args:
        location: hub id or folder.
        options: revision and trust_remote_code.
        hub: whether it is a hub id.

    Raises:
        ExportError: it cannot be read, or is of a model or a version that the installed transformers does not know.
    """
    from transformers import CONFIG_MAPPING, PretrainedConfig

    if not hub:
        check_file(Path(location, "config.json"))
    revision = options["revision"]
    try:
        fields, _ = PretrainedConfig.get_config_dict(location, revision=revision)
    except Exception as error:
        if not hub:
            raise ExportError(f"cannot read '{location}/config.json': {brief(error)}") from error
        at = "" if revision is None else f" at revision '{revision}'"
        raise ExportError(
            f"cannot read '{location}'{at} from the Hugging Face hub, and no folder of that name exists here: "
            f"{brief(error)} Check the id, the revision and the network, or download the checkpoint and give "
            "its folder."
        ) from error
    if not isinstance(fields, Mapping):
        raise ExportError(f"'{location}/config.json' is not a JSON object. Give the config.json that was saved.")
    check_writer(fields, location)
    model_type = fields.get("model_type")
    if not (isinstance(model_type, str) and model_type in CONFIG_MAPPING) and not options["trust_remote_code"]:
        if "auto_map" in fields:
            raise needs_remote_code(location)
        raise ExportError(
            f"'{location}' is not a checkpoint that this transformers knows: its config.json has the model_type "
            f"{model_type!r}. Only transformers text classifiers can be exported."
        )
    return dict(fields)


def load_config(
    fields: Mapping[str, Any], location: str, options: Mapping[str, Any]
) -> tuple[Any, bool, tuple[str, ...]]:
    """The configuration with the classes' names, whether it tells their number, and what a person should know of it.

    Raises:
        ExportError: it is not valid, not a single-label classifier's, or has settings that would be lost.
    """
    from transformers import AutoConfig

    names, notice = class_names(fields, location)
    try:
        config = AutoConfig.from_pretrained(location, **options)
    except Exception as error:
        raise ExportError(f"the config.json of '{location}' is not valid: {brief(error)}") from error
    check_settings(fields, config, location)
    if names is not None:
        config.id2label = dict(enumerate(names))
        config.label2id = {name: index for index, name in enumerate(names)}
    check_single_label(config, location)
    knows_classes = names is not None or not {"num_labels", "_num_labels"}.isdisjoint(fields)
    return config, knows_classes, () if notice is None else (notice,)


def check_single_label(config: Any, location: str) -> None:
    """Refuse a head that does not choose one of several classes; one of a single logit is not judged here.

    Raises:
        ExportError: it is a multi-label or a regression head.
    """
    if config.num_labels == 1:
        return
    if config.problem_type == "multi_label_classification":
        raise ExportError(
            f"'{location}' is a multi-label classifier (problem_type in its config.json): its classes do not exclude "
            "each other, and a cross-entropy over them means nothing. Give a single-label classifier."
        )
    if config.problem_type == "regression":
        raise ExportError(
            f"'{location}' has {config.num_labels} outputs and the problem_type 'regression': they are numbers, not "
            "classes to choose between. Give a classifier."
        )
