"""The head of a SetFit model: scikit-learn's logistic regression, or SetFit's own linear layer, as weights and names.

Both lie in a pickle, which is read without running it. Whatever the kind, what comes out are logits whose softmax is
what `predict_proba` answers. Imports `torch` where the head is SetFit's own, to read its tensors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scorer.errors import ExportError
from scorer.export.checkpoint.files import check_file
from scorer.export.containers.inert_pickle import Recorded, UnreadableError, read_pickle

LOGISTIC, ONE_VS_REST, OWN = "LogisticRegression", "OneVsRestClassifier", "SetFitHead"


@dataclasses.dataclass(frozen=True, slots=True)
class ClassHead:
    """A linear layer over features of size H, and what makes its answers logits of C classes.

    Attributes:
        weight: float32 [C, H].
        bias: float32 [C].
        one_vs_rest: whether probabilities are the sigmoids of the layer's answers, divided by their sum.
        classes: what the head calls its classes: text, or numbers.
    """

    weight: np.ndarray
    bias: np.ndarray
    one_vs_rest: bool
    classes: tuple[str | int, ...]


def read_head(file: Path, location: str) -> ClassHead:
    """The head in a model_head.pkl.

    Args:
        file: the pickle.
        location: hub id or folder, for messages.

    Raises:
        ExportError: it is no head that chooses one of several classes, or cannot be read without running it.
    """
    check_file(file)
    try:
        head = read_pickle(file)
    except UnreadableError as error:
        raise ExportError(
            f"the head of '{location}', {file.name}, cannot be read: {error}. It is read without running it, as files "
            "of joblib that are not compressed; save the model again with setfit."
        ) from error
    kind = head.kind if isinstance(head, Recorded) else type(head).__name__
    name = kind.rpartition(".")[2]
    try:
        if name == LOGISTIC:
            return _logistic(head.state)
        if name == ONE_VS_REST:
            return _one_vs_rest(head.state, location)
        if name == OWN:
            return _own(head.state, location)
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ExportError(
            f"the head of '{location}' is a {kind} without what a fitted one has ({error}). Train it, and save the "
            "model again with setfit."
        ) from error
    raise ExportError(
        f"the head of '{location}' is a {kind}, which cannot be written as a graph. Heads that can are "
        f"{LOGISTIC}, {ONE_VS_REST} of such, and {OWN}."
    )


def class_names(head: ClassHead, labels: Sequence[Any] | None, location: str) -> tuple[str, ...]:
    """The names of a head's classes, in the order of its logits.

    Args:
        head: the head.
        labels: those of config_setfit.json, or None.
        location: hub id or folder, for messages.

    Raises:
        ExportError: the labels do not name every class, or name two alike.
    """
    if any(isinstance(found, str) for found in head.classes):
        names = tuple(str(found) for found in head.classes)
    elif labels is None:
        numbered = head.classes == tuple(range(len(head.classes)))
        names = tuple(f"LABEL_{number}" if numbered else str(number) for number in head.classes)
    else:
        beyond = [number for number in head.classes if not 0 <= int(number) < len(labels)]
        if beyond:
            raise ExportError(
                f"the head of '{location}' has the class {beyond[0]}, but labels in its config_setfit.json names "
                f"{len(labels)} only. Write a name for each class there, in their order."
            )
        names = tuple(str(labels[int(number)]) for number in head.classes)
    if len(set(names)) < len(names):
        raise ExportError(
            f"'{location}' gives two of its classes one name ({', '.join(names)}). Make those in labels of its "
            "config_setfit.json distinct."
        )
    return names


def _logistic(state: Mapping[str, Any]) -> ClassHead:
    """scikit-learn's logistic regression, as the version answers that fitted it."""
    weight, bias = np.atleast_2d(state["coef_"]), np.atleast_1d(state["intercept_"])
    classes = _plain(state["classes_"])
    chosen = state.get("multi_class")
    one_vs_rest = chosen in {"ovr", "warn"} or (
        chosen in {"auto", "deprecated"} and (len(classes) <= 2 or state.get("solver") == "liblinear")
    )
    if len(classes) == 2:
        # One row w, whose answer z gives sigmoid(z); where fitted as multinomial, softmax of -z and z.
        below = -weight if chosen == "multinomial" else 0 * weight
        weight = np.concatenate([below, weight])
        bias = np.concatenate([-bias if chosen == "multinomial" else 0 * bias, bias])
        one_vs_rest = False
    return _made(weight, bias, one_vs_rest, classes)


def _one_vs_rest(state: Mapping[str, Any], location: str) -> ClassHead:
    """scikit-learn's one-vs-rest over logistic regressions of two classes each."""
    binarizer = state["label_binarizer_"].state
    if str(binarizer.get("y_type_", "")).startswith("multilabel"):
        raise _multi_label(location)
    estimators = state["estimators_"]
    strange = [each.kind for each in estimators if each.kind.rpartition(".")[2] != LOGISTIC]
    if strange:
        raise ExportError(
            f"the head of '{location}' is a {ONE_VS_REST} over {strange[0]}, which cannot be written as a graph; over "
            f"{LOGISTIC} it can."
        )
    weight = np.concatenate([np.atleast_2d(each.state["coef_"]) for each in estimators])
    bias = np.concatenate([np.atleast_1d(each.state["intercept_"]) for each in estimators])
    factor = [2.0 if each.state.get("multi_class") == "multinomial" else 1.0 for each in estimators]
    weight, bias = weight * np.array(factor)[:, None], bias * np.array(factor)
    classes = _plain(binarizer["classes_"])
    if len(classes) == 2:
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
        return _made(weight, bias, False, classes)
    return _made(weight, bias, True, classes)


def _own(state: Mapping[str, Any], location: str) -> ClassHead:
    """SetFit's differentiable head: a linear layer, its answers divided by a temperature."""
    if state.get("multitarget"):
        raise _multi_label(location)
    layer = state["_modules"]["linear"].state["_parameters"]
    scale = float(state["temperature"]) + float(state["eps"])
    weight = layer["weight"].detach().double().numpy() / scale
    bias = np.zeros(len(weight)) if layer.get("bias") is None else layer["bias"].detach().double().numpy() / scale
    return _made(weight, bias, False, tuple(range(len(weight))))


def _multi_label(location: str) -> ExportError:
    return ExportError(
        f"'{location}' is a multi-label classifier: its head gives every class a probability of its own, and a "
        "cross-entropy over them means nothing. Give a single-label classifier."
    )


def _made(weight: np.ndarray, bias: np.ndarray, one_vs_rest: bool, classes: tuple[str | int, ...]) -> ClassHead:
    bias = np.broadcast_to(bias, (len(weight),))  # 0 for all where none was fitted
    if len(classes) != len(weight) or len(classes) < 2:
        raise ValueError(f"{len(weight)} rows of weights for {len(classes)} classes")
    return ClassHead(weight.astype(np.float32), bias.astype(np.float32), one_vs_rest, classes)


def _plain(classes: Any) -> tuple[str | int, ...]:
    """The classes as text or whole numbers."""
    found = [each.item() if isinstance(each, np.generic) else each for each in np.asarray(classes).ravel()]
    whole = [isinstance(each, int | float) and float(each).is_integer() for each in found]
    if not all(isinstance(each, str) for each in found) and not all(whole):
        raise ValueError(f"classes of the kinds {', '.join(sorted({type(each).__name__ for each in found}))}")
    return tuple(each if isinstance(each, str) else int(each) for each in found)
