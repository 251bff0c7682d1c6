"""A head of one logit as a classifier of two classes: logits [0, z], whose softmax is sigmoid(z).

Such a head may have learned whether something holds (a cross-entropy of sigmoid(z)), a number (a squared error), or an
order (ranking losses); only the first is a classifier. What the checkpoint records decides; where it records nothing,
the person must say. Imports `torch`, and only when a head is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from scorer.errors import ExportError

OneLogit = Literal["binary"]
SIGMOID = "torch.nn.modules.activation.Sigmoid"
# By how much the changed head may differ from the trained one: products of another shape are summed in another order.
SUMMED_OTHERWISE = 1e-5


def check_one_logit(config: Any, location: str, activation: str | None, wanted: OneLogit | None) -> str:
    """Refuse a head of one logit that is no classifier of two classes, as far as anybody knows.

    Args:
        config: the loaded configuration.
        location: hub id or folder.
        activation: the function that sentence-transformers recorded for the answers, or None.
        wanted: what the person says of it.

    Returns:
        What a person should know of it.

    Raises:
        ExportError: it was trained to give a number, or nobody knows for what.
    """
    if config.problem_type == "regression":
        raise ExportError(
            f"'{location}' has one output and the problem_type 'regression': it was trained to give a number, so there "
            "are no classes to choose between. Give a classifier."
        )
    if wanted == "binary":
        reason = "--one-logit binary"
    elif config.problem_type == "multi_label_classification":
        reason = f"its problem_type, {config.problem_type}, which is trained on the sigmoid"
    elif activation == SIGMOID:
        reason = "its record of sentence-transformers, which gives answers through the sigmoid"
    else:
        recorded = f"its recorded activation is {activation}" if activation else "it records no problem_type"
        raise ExportError(
            f"'{location}' has a single-logit head (1 output), and {recorded}: whether that logit tells two classes "
            "apart, or is a number or a rank, cannot be known. If it was trained with a binary cross-entropy "
            "(BCEWithLogitsLoss), so that sigmoid(logit) is the probability of class 1, export again with "
            "--one-logit binary."
        )
    return f"the one logit z is exported as two, 0 and z, so that P(class 1) = sigmoid(z): by {reason}"


def names_of_two(names: Mapping[int, str]) -> tuple[str, str]:
    """The names of the two classes, of the table that names one output."""
    name = names.get(0, "LABEL_0")
    return ("LABEL_0", "LABEL_1") if name in {"LABEL_0", "0"} else (f"not {name}", name)


def to_two_logits(model: Any, names: tuple[str, str], location: str) -> None:
    """Have a model of one logit z answer 0 and z, in place.

    Args:
        model: the PyTorch model, in evaluation mode.
        names: of the two classes.
        location: hub id or folder.

    Raises:
        ExportError: its head is not one linear layer at the end.
    """
    import torch

    body = f"{model.base_model_prefix}."
    heads = [
        (place, module)
        for place, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == 1 and not place.startswith(body)
    ]
    refusal = ExportError(
        f"the head of '{location}' ({type(model).__name__}) does not end in one linear layer, so its one logit cannot "
        "be made two. Choose a checkpoint of another architecture."
    )
    if len(heads) != 1:
        raise refusal
    before = _answer(model)  # [B, 1]
    ((place, head),) = heads
    wide = torch.nn.Linear(head.in_features, 2, bias=head.bias is not None)
    with torch.no_grad():
        wide.weight.copy_(torch.cat([torch.zeros_like(head.weight), head.weight]))
        if head.bias is not None:
            wide.bias.copy_(torch.cat([torch.zeros_like(head.bias), head.bias]))
    parent, _, last = place.rpartition(".")
    setattr(model.get_submodule(parent), last, wide.eval())
    model.config.problem_type = None
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}
    if hasattr(model, "num_labels"):
        model.num_labels = 2
    after = _answer(model)  # [B, 2]
    expected = torch.cat([torch.zeros_like(before), before], dim=-1)
    room = SUMMED_OTHERWISE * max(1.0, float(before.abs().max()))
    if after.shape != expected.shape or after[:, 0].any() or not torch.allclose(after, expected, rtol=0, atol=room):
        raise refusal


def _answer(model: Any) -> Any:
    """The logits of a few short texts of any tokens, one at a time: float32 [B, C]."""
    import torch

    rows = model.get_input_embeddings().weight.shape[0]
    answers = []
    for size in (3, 5, 9):
        ids = torch.arange(1, size + 1).remainder(rows)[None]
        end = model.config.eos_token_id
        if isinstance(end, int) and end < rows:
            ids[0, -1] = end  # the heads of BART's kin read there
        with torch.inference_mode():
            answers.append(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits)
    return torch.cat(answers)
