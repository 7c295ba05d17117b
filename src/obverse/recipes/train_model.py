"""The model that is trained: loaded or drawn anew, with adapters or without, and written as a plain folder."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from obverse.core import ConfigError, UnknownName, seed_for, storage_errors
from obverse.model._quiet import quiet
from obverse.model.language_model import DEFAULT_MODEL, LanguageModel, pick_dtype
from obverse.recipes.train_tokenizer import tokenizer_for

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PretrainedConfig, PreTrainedModel

    from obverse.data.scored_files import DocumentSource
    from obverse.training.settings import LoraSettings, ModelSettings, TokenizerSettings
    from obverse.training.trainer import ObjectiveTrainer


def start_model(
    settings: ModelSettings, seed: int, sources: Sequence[DocumentSource], limit: int | None
) -> LanguageModel:
    """Return the model that training starts from, on the CPU.

    Args:
        settings: Which model.
        seed: The run's; weights drawn anew depend on it.
        sources: The corpus, for a tokenizer that is trained on it.
        limit: How many documents of it are used.

    Raises:
        UnknownName: If there is no such model, architecture or tokenizer.
        ConfigError: If a setting of the architecture does not exist.
    """
    if not settings.drawn:
        return LanguageModel.load(
            settings.name or DEFAULT_MODEL,
            dtype=settings.dtype,
            device="cpu",
            revision=settings.revision,
            trust_remote_code=settings.trust_remote_code,
        )
    name = settings.architecture or settings.name or DEFAULT_MODEL
    config, tokenizer = _shape(settings, lambda name: tokenizer_for(name, sources, limit))
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]), quiet():
        torch.default_generator.manual_seed(seed_for(seed, "weights"))
        model = AutoModelForCausalLM.from_config(
            config, dtype=pick_dtype(settings.dtype), trust_remote_code=settings.trust_remote_code
        )
    return LanguageModel(model, tokenizer, f"{name} (drawn anew)")


def _shape(settings: ModelSettings, tokenizer_for: Callable[[str | TokenizerSettings], Any]) -> tuple[Any, Any]:
    """Return the config and the tokenizer of a model whose weights are drawn anew."""
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if settings.architecture is None:
        start = LanguageModel.load(
            settings.name or DEFAULT_MODEL,
            device="cpu",
            revision=settings.revision,
            trust_remote_code=settings.trust_remote_code,
        )
        config, tokenizer = start.model.config, start.tokenizer
    elif settings.architecture in CONFIG_MAPPING:
        config, tokenizer = AutoConfig.for_model(settings.architecture), None
    else:
        raise UnknownName.among("architecture", settings.architecture, CONFIG_MAPPING.keys())
    if settings.tokenizer is not None:
        tokenizer = tokenizer_for(settings.tokenizer)
    _check_known(config, settings.settings)
    given = {"vocab_size": len(tokenizer), **_special(tokenizer), **settings.settings}  # pyright: ignore[reportArgumentType]
    return type(config).from_dict({**config.to_dict(), **_unaliased(config, given)}), tokenizer


def _special(tokenizer: Any) -> dict[str, Any]:
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {name: getattr(tokenizer, name) for name in names}


def _unaliased(config: PretrainedConfig, given: dict[str, Any]) -> dict[str, Any]:
    """Return settings under the family's own names, e.g. ``n_embd`` for ``hidden_size``."""
    return {config.attribute_map.get(name, name): value for name, value in given.items()}


def _check_known(config: PretrainedConfig, given: dict[str, Any]) -> None:
    """Refuse settings that the family does not have; transformers would take any name and leave it unread."""
    known = {*config.to_dict(), *config.attribute_map}
    wrong = [name for name in given if name not in known]
    if wrong:
        errors = [UnknownName.among("setting", name, known) for name in wrong]
        hints = [error.hint.partition(" Known:")[0].partition("Known:")[0] for error in errors]
        raise ConfigError(
            "\n  ".join([
                f"model.settings, of the architecture {config.model_type}:",
                *(f"{name}: no such setting. {hint}".strip() for name, hint in zip(wrong, hints, strict=True)),
            ]),
            f"Its settings: {', '.join(sorted(known))}.",
        )  # fmt: skip


def to_train(
    lm: LanguageModel, settings: ModelSettings, new_tokens: Iterable[int], seed: int
) -> PreTrainedModel | PeftModel:
    """Let the model's weights be trained, or those of its last blocks, or put adapters in and train these.

    Args:
        lm: The model, with its objective set up.
        settings: Which weights are trained.
        new_tokens: Ids whose embeddings are new, and are trained beside adapters.
        seed: The run's; what adapters begin with depends on it.

    Raises:
        ConfigError: If there are not so many blocks, or no such modules, or new embeddings would not be trained.
    """
    if settings.lora is not None:
        return _adapted(lm, settings.lora, new_tokens, seed)
    if settings.last_blocks is None:
        return lm.model.requires_grad_(True)
    return _last_blocks(lm, settings.last_blocks, new_tokens)


def _last_blocks(lm: LanguageModel, count: int, new_tokens: Iterable[int]) -> PreTrainedModel:
    blocks = lm.architecture.n_layers
    if count > blocks:
        raise ConfigError(f"model.last_blocks: {count}, but {lm.name} has {blocks}.", "Give fewer, or none.")
    if [*new_tokens]:
        raise ConfigError(
            "model.last_blocks: the objective adds tokens, whose embeddings are in no block.",
            "Use model.lora, which trains them too, or train every weight.",
        )
    lm.model.requires_grad_(False)
    for layer in range(blocks - count, blocks):
        lm.model.get_submodule(lm.architecture.block(layer)).requires_grad_(True)
    for name in _heads(lm):
        lm.model.get_submodule(name).requires_grad_(True)
    return lm.model


def _heads(lm: LanguageModel) -> list[str]:
    return [name for name, _ in lm.model.named_children() if name == "value_head"]


def _adapted(lm: LanguageModel, lora: LoraSettings, new_tokens: Iterable[int], seed: int) -> PeftModel:
    from peft import LoraConfig, get_peft_model

    modules = lora.modules if isinstance(lora.modules, str) else list(lora.modules)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType] (a float is taken)
        lora_dropout=lora.dropout,
        target_modules=modules,
        trainable_token_indices=_rows_of(lm, list(new_tokens)),
    )
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            torch.default_generator.manual_seed(seed_for(seed, "adapters"))
            warnings.filterwarnings("ignore", module=r"(peft|transformers)\b")
            adapted = get_peft_model(lm.model, config)
    except ValueError as error:
        raise ConfigError(f"model.lora: {error}", "Name modules of this model, or leave out lora.modules.") from error
    for name in _heads(lm):
        lm.model.get_submodule(name).requires_grad_(True)
    # New rows are with the adapters; by default the whole of a matrix that has grown would be too.
    adapted.save_pretrained = partial(  # pyright: ignore[reportAttributeAccessIssue] (the same, but for a default)
        adapted.save_pretrained, save_embedding_layers=False
    )
    return adapted


def _rows_of(lm: LanguageModel, tokens: list[int]) -> dict[str, list[int]] | None:
    """Return the matrices in which tokens have rows: the input embedding, and the projection where it has its own."""
    matrices = (lm.model.get_input_embeddings(), lm.head)
    tied = lm.weight_of(matrices[0]) is lm.weight_of(matrices[1])
    names = [next(n for n, module in lm.model.named_modules() if module is matrix) for matrix in matrices]
    return dict.fromkeys(names[: 1 if tied else 2], tokens) if tokens else None


def save_model(trainer: ObjectiveTrainer, lm: LanguageModel, lora: LoraSettings | None, out: Path) -> None:
    """Write the trained model: whole files, renamed into the run's folder, the weights last.

    Args:
        trainer: Has trained it; called in every process, since weights may be spread over them.
        lm: The model; gives the tokenizer.
        lora: The adapters, which go to ``out/adapter``; the merged model goes to ``out`` if that is asked.
        out: The run's folder.
    """
    draft = out / ".model.part"
    plugin = getattr(trainer.accelerator.state, "fsdp_plugin", None)
    if plugin is not None:
        plugin.set_state_dict_type("FULL_STATE_DICT")
    lm.model.config.use_cache = True  # the Trainer switched it off, and the config is saved
    with storage_errors(out), quiet():
        trainer.save_model(str(draft))
        trainer.objective.save(draft)
        if not trainer.args.should_save:
            return
        (draft / "training_args.bin").unlink(missing_ok=True)  # pickled, and said better in run.json
        _finish(draft, lm, out if lora is None else out / "adapter")
        if lora is not None and lora.merge:
            trainer.accelerator.unwrap_model(trainer.model).merge_and_unload().save_pretrained(draft)
            _finish(draft, lm, out)


def _finish(draft: Path, lm: LanguageModel, folder: Path) -> None:
    lm.tokenizer.save_pretrained(draft)
    _copy_terms(lm.folder, draft)
    folder.mkdir(exist_ok=True)
    for file in sorted(draft.iterdir(), key=lambda file: file.suffix == ".safetensors"):
        file.replace(folder / file.name)
    draft.rmdir()


def _copy_terms(source: Path | None, folder: Path) -> None:
    """Let terms, notices and licences of the start travel with what was made of it."""
    for pattern in ("*TERMS*", "NOTICE*", "LICENSE*", "USE_POLICY*"):
        for file in source.glob(pattern) if source else ():
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
