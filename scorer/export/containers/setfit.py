"""A SetFit folder: a sentence-transformers body and a logistic head, as one model with the logits of a classifier.

Neither setfit nor scikit-learn is needed: the body's settings are read here, and the head's pickle without running it.
Imports `torch` and `transformers`, and only when such a folder is opened.
"""

from __future__ import annotations

import inspect
from typing import Any

from scorer.errors import ExportError
from scorer.export.checkpoint.config import load_config, read_config
from scorer.export.checkpoint.settings import writer
from scorer.export.checkpoint.tokenizer_file import take_file
from scorer.export.containers.class_head import ClassHead, class_names, read_head
from scorer.export.containers.place import Contents, Place, Wishes
from scorer.export.containers.plain import check_own_code, check_prompt, written_at
from scorer.export.containers.sentence_body import (
    BODY_CONFIG,
    NORMALIZE,
    Dense,
    SentenceBody,
    load_transformer,
    pooled,
    read_body,
)
from scorer.export.containers.tokenizers import load_tokenizer, tokenizer_place

SETFIT_CONFIG, HEAD = "config_setfit.json", "model_head.pkl"


def open_setfit(place: Place, wishes: Wishes) -> Contents:
    """A SetFit model.

    Raises:
        ExportError: a part of it is missing, or cannot be written as a graph.
    """
    place = place.pinned(HEAD)
    settings = place.json(SETFIT_CONFIG) or {}
    if settings.get("span_context") is not None:
        raise ExportError(
            f"'{place.location}' is a SetFit model of aspects (span_context in its {SETFIT_CONFIG}): it reads spans of "
            "a text, not texts. Give a text classifier."
        )
    check_prompt(place)
    file = place.find(HEAD)
    if file is None:
        raise ExportError(
            f"'{place.location}' has a {SETFIT_CONFIG} but no {HEAD}: its head would be random. Give the folder that "
            "save_pretrained wrote after training."
        )
    head = read_head(file, place.location)
    names = class_names(head, settings.get("labels"), place.location)
    body = read_body(place)
    fields = dict(read_config(body.place.location, body.place.options, hub=place.hub))
    check_own_code(body.place, fields)
    config, _, _ = load_config(_without_classes(fields), body.place.location, body.place.options)
    if config.is_encoder_decoder:
        raise ExportError(
            f"the body of '{place.location}' is an encoder with a decoder ({config.model_type}), which cannot be "
            "exported as a SetFit model. Choose one with an encoder alone."
        )
    at = tokenizer_place(body.place, wishes)
    tokenizer = load_tokenizer(at)
    if body.max_tokens is not None:
        tokenizer.model_max_length = body.max_tokens
    _check_case(tokenizer, body, place)
    taken = take_file(tokenizer, at.location, at.revision, writer(fields if at == body.place else written_at(at)))
    network, notices = load_transformer(body, config)
    steps = (*body.steps, *([NORMALIZE] if settings.get("normalize_embeddings") else []))
    model = _as_model(network, body.poolings, steps, head, place)
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}
    said = (*notices, *([] if taken is None else [taken]), f"{HEAD} was read without running it")
    return Contents(model, tokenizer, at, names, place.revision, writer(fields), said)


def _without_classes(fields: dict[str, Any]) -> dict[str, Any]:
    """A body's config.json without the classes that it may have from elsewhere."""
    return {key: value for key, value in fields.items() if key not in {"id2label", "label2id", "problem_type"}}


def _check_case(tokenizer: Any, body: SentenceBody, place: Place) -> None:
    """Refuse a body that reads texts in lower case where its tokenizer does not."""
    if body.lowercase and tokenizer("ABC Def É")["input_ids"] != tokenizer("abc def é")["input_ids"]:
        raise ExportError(
            f"the body of '{place.location}' reads texts in lower case (do_lower_case in its {BODY_CONFIG}), and its "
            "tokenizer.json does not say so. Save it again with sentence-transformers 6, which writes that into the "
            "tokenizer."
        )


def _as_model(
    network: Any, poolings: tuple[str, ...], steps: tuple[Dense | str, ...], head: ClassHead, place: Place
) -> Any:
    """Body and head as a model of transformers, with the inputs of the body.

    Raises:
        ExportError: the head is for vectors of another size.
    """
    import torch
    from transformers import PreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput

    kind = type(network)

    class SetFitClassifier(PreTrainedModel):  # type: ignore[misc]
        """A text's vector, and the logits of its classes."""

        config_class = type(network.config)
        base_model_prefix = "body"
        _supports_sdpa = getattr(kind, "_supports_sdpa", False)
        _supports_attention_backend = getattr(kind, "_supports_attention_backend", False)

        def __init__(self) -> None:
            super().__init__(network.config)
            self.body = network
            self.dense = torch.nn.ModuleList(_linear(step) for step in steps if isinstance(step, Dense))
            self.head = _linear(Dense(torch.from_numpy(head.weight), torch.from_numpy(head.bias), None))

        def get_input_embeddings(self) -> Any:
            return self.body.get_input_embeddings()

        def set_attn_implementation(self, implementation: Any) -> None:
            self.body.set_attn_implementation(implementation)

        def vectors(self, mask: Any, **feeds: Any) -> Any:
            """Vectors of texts: float32 [B, H]."""
            states = self.body(attention_mask=mask, return_dict=True, **feeds).last_hidden_state  # [B, T, H]
            vector = torch.cat([pooled(mode, states, mask) for mode in poolings], dim=-1)
            dense = iter(self.dense)
            for step in steps:
                if isinstance(step, Dense):
                    vector = step.activation(next(dense)(vector))
                else:
                    vector = torch.nn.functional.normalize(vector, p=2, dim=-1)
            return vector

        def answer(self, vector: Any) -> Any:
            logits = self.head(vector)  # [B, C]
            # Probabilities sigmoid(z) / sum of sigmoids are the softmax of log sigmoid(z).
            return SequenceClassifierOutput(logits=_log_sigmoid(logits) if head.one_vs_rest else logits)

    class WithSegments(SetFitClassifier):
        def forward(
            self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None, return_dict: bool = True
        ) -> Any:
            vector = self.vectors(attention_mask, input_ids=input_ids, token_type_ids=token_type_ids)
            return self.answer(vector)

    class WithoutSegments(SetFitClassifier):
        def forward(self, input_ids: Any, attention_mask: Any, return_dict: bool = True) -> Any:
            return self.answer(self.vectors(attention_mask, input_ids=input_ids))

    segments = "token_type_ids" in inspect.signature(network.forward).parameters
    chosen = WithSegments if segments else WithoutSegments
    chosen.__name__ = f"{kind.__name__}WithSetFitHead"
    chosen.__module__ = kind.__module__  # by which optimum tells which library a model is of
    model = chosen().eval()
    size = _vector_size(network, poolings, steps)
    if head.weight.shape[1] != size:
        raise ExportError(
            f"the head of '{place.location}' is for vectors of size {head.weight.shape[1]}, and its body makes vectors "
            f"of size {size}: the two do not belong together. Save the model again with setfit."
        )
    return model


def _vector_size(network: Any, poolings: tuple[str, ...], steps: tuple[Dense | str, ...]) -> int:
    size = len(poolings) * int(network.config.get_text_config().hidden_size)
    for step in steps:
        size = size if isinstance(step, str) else int(step.weight.shape[0])
    return size


def _linear(dense: Dense) -> Any:
    """A linear layer of given weights."""
    import torch

    rows, columns = dense.weight.shape
    layer = torch.nn.Linear(columns, rows, bias=dense.bias is not None)
    with torch.no_grad():
        layer.weight.copy_(dense.weight)
        if dense.bias is not None:
            layer.bias.copy_(dense.bias)
    return layer


def _log_sigmoid(values: Any) -> Any:
    """Of numbers of any size; ONNX Runtime's sigmoid loses the digits of those far below 0, which a log brings out."""
    import torch

    return torch.clamp(values, max=0.0) - torch.log(1.0 + torch.exp(-torch.abs(values)))
