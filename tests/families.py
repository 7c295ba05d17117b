"""Tiny random models of every family, and tiny tokenizers: nothing is fetched, all is built in a few milliseconds.

``tiny("llama")`` gives a new `LanguageModel` with random weights that are the same at every call; the keys of `DENSE`,
`PROBED`, `EXPERTS`, `UNLISTED_EXPERTS` and `LAWLESS` are the names it knows.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from obverse.model.language_model import LanguageModel
from tiny_tokenizers import VOCAB, TokenizerKind, tokenizer

HIDDEN, LAYERS, WINDOW = 32, 3, 8

_GPT2 = {"n_embd": HIDDEN, "n_head": 4, "n_layer": LAYERS, "n_positions": 128}
_LLAMA = {
    "hidden_size": HIDDEN,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
_MANY_HEADS = {**_LLAMA, "num_key_value_heads": 4}
_NEOX = {**_MANY_HEADS, "rotary_pct": 0.5}
_GEMMA = {**_LLAMA, "head_dim": 8}
_MIXED = {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "sliding_window": WINDOW}
_OPT = {"hidden_size": HIDDEN, "ffn_dim": 48, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
        "max_position_embeddings": 128, "do_layer_norm_before": True}  # fmt: skip
_FALCON = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": 4}
_EXPERTS = {**_LLAMA, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "head_dim": 8}

DENSE: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", _GPT2),
    "gpt_neo": ("GPTNeo", {
        "hidden_size": HIDDEN, "num_layers": LAYERS, "num_heads": 4, "max_position_embeddings": 128,
        "attention_types": [[["global", "local", "global"], 1]], "window_size": WINDOW,
    }),
    "gptj": ("GPTJ", {**_GPT2, "rotary_dim": 4}),
    "gpt_neox": ("GPTNeoX", {**_NEOX, "use_parallel_residual": True}),
    "gpt_neox_serial": ("GPTNeoX", {**_NEOX, "use_parallel_residual": False}),
    "llama": ("Llama", _LLAMA),
    "mistral": ("Mistral", {**_LLAMA, "sliding_window": WINDOW}),
    "qwen2": ("Qwen2", _LLAMA),
    "qwen3": ("Qwen3", {**_LLAMA, "head_dim": 16}),
    "gemma": ("Gemma", _GEMMA),
    "gemma2": ("Gemma2", {**_GEMMA, **_MIXED, "query_pre_attn_scalar": 8}),
    "gemma3": ("Gemma3", {**_GEMMA, **_MIXED, "query_pre_attn_scalar": 8}),
    "phi": ("Phi", {**_MANY_HEADS, "partial_rotary_factor": 0.5}),
    "phi3": ("Phi3", {**_LLAMA, "pad_token_id": 0}),
    "opt": ("OPT", _OPT),
    "opt_projected": ("OPT", {**_OPT, "word_embed_proj_dim": 16}),
    "bloom": ("Bloom", {"hidden_size": HIDDEN, "n_layer": LAYERS, "n_head": 4}),
    "falcon_alibi": ("Falcon", {**_FALCON, "alibi": True, "multi_query": False, "parallel_attn": False, "bias": True}),
    "falcon_rotary": ("Falcon", {**_FALCON, "alibi": False}),
    "falcon_new": ("Falcon", {**_FALCON, "alibi": False, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "olmo2": ("Olmo2", _LLAMA),
    "smollm3": ("SmolLM3", {**_LLAMA, "pad_token_id": 0}),
}  # fmt: skip
"""Families with a layout in the table and one matrix at the end of their MLP."""

PROBED: dict[str, tuple[str, dict[str, Any]]] = {
    "stablelm": ("StableLm", _LLAMA),
    "starcoder2": ("Starcoder2", {**_LLAMA, "sliding_window": WINDOW}),
    "olmo": ("Olmo", _LLAMA),
    "codegen": ("CodeGen", {**_GPT2, "rotary_dim": 4}),
    "mpt": ("Mpt", {"d_model": HIDDEN, "n_heads": 4, "n_layers": LAYERS, "max_seq_len": 128}),
    "cohere": ("Cohere", _LLAMA),
    "gpt_bigcode": ("GPTBigCode", _GPT2),
    "granite": ("Granite", _LLAMA),
    "glm4": ("Glm4", {**_GEMMA, "pad_token_id": 0}),
    "xglm": ("XGLM", {"d_model": HIDDEN, "ffn_dim": 48, "num_layers": LAYERS, "attention_heads": 4}),
    "helium": ("Helium", {**_GEMMA, "pad_token_id": 0}),
    "olmo3": ("Olmo3", _LLAMA),
    "exaone4": ("Exaone4", {**_LLAMA, "sliding_window": WINDOW}),
    "nemotron": ("Nemotron", _LLAMA),
    "persimmon": ("Persimmon", _MANY_HEADS),
    "biogpt": ("BioGpt", {**_MANY_HEADS}),
    "glm": ("Glm", {**_GEMMA, "pad_token_id": 0}),
    "ernie4_5": ("Ernie4_5", _GEMMA),
}
"""Families outside the table that the probe can read."""

EXPERTS: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("Mixtral", {**_LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2_moe": ("Qwen2Moe", {**_EXPERTS, "shared_expert_intermediate_size": 24}),
    "qwen3_moe": ("Qwen3Moe", _EXPERTS),
}
"""Mixtures of experts: no single matrix ends the MLP."""

UNLISTED_EXPERTS: dict[str, tuple[str, dict[str, Any]]] = {
    "olmoe": ("Olmoe", {**_EXPERTS, "num_key_value_heads": 4}),
    "granitemoe": ("GraniteMoe", {**_LLAMA, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "gpt_oss": ("GptOss", {**_EXPERTS, "num_local_experts": 4, "sliding_window": WINDOW}),
    "deepseek_v3": ("DeepseekV3", {
        **_MANY_HEADS, "moe_intermediate_size": 24, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 2,
        "topk_group": 1, "first_k_dense_replace": 2, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 8, "v_head_dim": 8,
    }),
}  # fmt: skip
"""Mixtures of experts that are probed; in the last one only some blocks are."""

LAWLESS: dict[str, tuple[str, dict[str, Any]]] = {
    "opt_late_norm": ("OPT", {**_OPT, "do_layer_norm_before": False}),  # as OPT-350m
    "granite_scaled": ("Granite", {**_LLAMA, "residual_multiplier": 0.2}),
    "openai-gpt": ("OpenAIGPT", _GPT2),
}
"""Families whose blocks do more than add."""

FAMILIES = {**DENSE, **PROBED, **EXPERTS, **UNLISTED_EXPERTS, **LAWLESS}


def tiny_model(family: str, **changes: Any) -> PreTrainedModel:
    """Make a small model with random weights, always the same.

    Args:
        family: A key of `FAMILIES`.
        changes: Settings of the config to add or replace.
    """
    name, settings = FAMILIES[family]
    config_type = getattr(transformers, f"{name}TextConfig" if name == "Gemma3" else f"{name}Config")
    head = "LMHeadModel" if name in ("GPT2", "OpenAIGPT") else "ForCausalLM"
    config = config_type(**{"vocab_size": VOCAB, "bos_token_id": 0, "eos_token_id": 0, **settings, **changes})
    model = getattr(transformers, name + head)(config).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        # Wide enough that every part matters to the result; norms keep their scale.
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(parameter + 0.1 * noise if parameter.ndim == 1 else 0.2 * noise)
    return model


def tiny(family: str, tokens: TokenizerKind = "bpe", **changes: Any) -> LanguageModel:
    """Make a small language model with random weights, always the same; see `tiny_model`.

    Args:
        family: A key of `FAMILIES`.
        tokens: Kind of tokenizer.
        changes: Settings of the config to add or replace.
    """
    return LanguageModel(tiny_model(family, **changes), tokenizer(tokens), f"tiny-{family}")
