"""The recipe of the paper's published code, step by step beside a literal transcription of it; and
each of its differences from ours alone, which fails where it is reverted."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForAudioClassification

from bimotion.errors import SettingError, UnknownName
from bimotion.evaluation.tracks.track import clips_in_memory
from bimotion.evaluation.tracks.zero_shot import ZeroShot
from bimotion.models.classifier import Classifier
from bimotion.models.recipe import RECIPES, FinetuneOptions
from bimotion.models.spec import ModelSpec
from bimotion.models.training_data import plan
from bimotion.protocol.labels import EMOTIONS, SCHEMAS
from tests.support import tiny_models
from tests.support.tone_training import STILL, Labelled, history, predict, train

RATE, CLIP, EPOCHS, SIZE, N, WINDOW = 0.01, 0.03, 2, 4, 10, 30 * 16_000
SAME = {"learning_rate": RATE, "max_gradient_norm": CLIP, "epochs": EPOCHS, "batch_size": SIZE}
"""A rate at which differences show, and a norm that some gradients of a tiny model reach."""
LONG = 3
"""Number of the clip that is longer than the window, where there is one."""


def quiet_noise(*, has_long_clip: bool = False) -> Labelled:
    """Noise of little amplitude under the 13 labels: one in three is annotated for the five of ESD,
    the others for CSED's three; nothing is ever positive for happiness."""
    generator = np.random.default_rng(0)
    n_samples = generator.integers(4_000, 9_000, N)
    if has_long_clip:
        n_samples[LONG] = WINDOW + 4_000
    clips = [0.02 * generator.standard_normal(n).astype(np.float32) for n in n_samples]
    reference = np.full((N, 13), -1, np.int8)
    for i in range(N):
        esd = ("angry", "happiness", "neutral", "sadness", "surprise")
        names = esd if i % 3 == 0 else ("positive", "neutral", "negative")
        reference[i, [EMOTIONS.index(name) for name in names]] = 0
        reference[i, EMOTIONS.index(names[0 if i % 2 else 2])] = 1
    return Labelled(N, clips.__getitem__, n_samples, reference)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A model of XLSR-53's shape with a head, so that both begin with the same random numbers."""
    dropouts = ("hidden", "attention", "feat_proj", "final")
    settings = STILL | {f"{name}_dropout": 0.0 for name in dropouts} | {"initializer_range": 0.1}
    folder = tmp_path_factory.mktemp("source")
    return tiny_models.build("wav2vec2-layer", folder, n_labels=13, **settings)


def literal(source, clips: Labelled, options: FinetuneOptions) -> tuple[dict, list[float]]:
    """The paper's train.py in plain torch: weights and the mean loss of each epoch. Where `options`
    say so it departs as our recipe does."""
    model = AutoModelForAudioClassification.from_pretrained(source).train()
    trained = (clips.reference == 1).any(axis=0)
    if options.silence_untrained:
        with torch.no_grad():
            model.classifier.weight[~trained] = 0.0
            model.classifier.bias[~trained] = -30.0
    moments = {name: [torch.zeros_like(p), torch.zeros_like(p), 0] for name, p in named(model)}
    n_steps, step, losses = EPOCHS * math.ceil(N / SIZE), 0, []
    for epoch in range(1, EPOCHS + 1):
        losses.append(0.0)
        for ids in batches(clips, epoch, options):
            features = [array(clips.waveform(i), i, epoch, options) for i in ids]
            loss = loss_of(model, features, clips.reference[ids])
            if not options.loss_over_labels:
                loss = loss * 13
            model.zero_grad()
            loss.backward()
            losses[-1] += float(loss.detach()) * len(ids) / N
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            adamw(model, moments, RATE * (n_steps - step) / n_steps, options)
            step += 1
    return model.state_dict(), losses


def named(model):
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def batches(clips: Labelled, epoch: int, options: FinetuneOptions) -> list[np.ndarray]:
    """RandomSampler of the Trainer: a permutation, cut into batches (of our random numbers)."""
    if options.similar_lengths:
        return plan(clips.n_samples, SIZE, 0, epoch)
    order = np.random.default_rng((0, epoch)).permutation(N)
    return [order[start : start + SIZE] for start in range(0, N, SIZE)]


def array(waveform: np.ndarray, i: int, epoch: int, options: FinetuneOptions) -> np.ndarray:
    """`data_transforms`: audio["array"] as it is."""
    if not options.whole_clips and len(waveform) > WINDOW:
        spare = len(waveform) - WINDOW
        start = np.random.default_rng((0, epoch, i, 1)).integers(spare + 1)
        waveform = waveform[start : start + WINDOW]
    if not options.raw_amplitude:
        waveform = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)
    return waveform


def loss_of(model, features: list[np.ndarray], reference: np.ndarray):
    """DataCollatorWithPadding, and the forward of Wav2Vec2ForMultilabelSequenceClassification."""
    longest = max(map(len, features))
    rows = [np.pad(feature, (0, longest - len(feature))) for feature in features]
    attention = [np.arange(longest) < len(feature) for feature in features]
    input_values = torch.tensor(np.stack(rows), dtype=torch.float32)
    attention_mask = torch.tensor(np.stack(attention)).long()
    labels = torch.tensor(np.where(reference == -1, -100, reference))
    mask = (labels != -100).float()
    labels_mask = mask / mask.sum(dim=1, keepdim=True)

    hidden_states = model.wav2vec2(input_values, attention_mask=attention_mask)[0]
    hidden_states = model.projector(hidden_states)
    padding_mask = model._get_feature_vector_attention_mask(hidden_states.shape[1], attention_mask)
    hidden_states[~padding_mask] = 0.0
    pooled_output = hidden_states.sum(dim=1) / padding_mask.sum(dim=1).view(-1, 1)
    logits = model.classifier(pooled_output)
    loss_fct = torch.nn.BCEWithLogitsLoss(weight=labels_mask.view(-1))
    return loss_fct(logits.view(-1), labels.float().view(-1))


@torch.no_grad()
def adamw(model, moments: dict, rate: float, options: FinetuneOptions) -> None:
    """A step of transformers 4.24's AdamW, betas (0.9, 0.999); of torch's epsilon is divided."""
    for name, part in named(model):
        if part.grad is None:
            continue
        first, second, n = moments[name]
        moments[name][2] = n = n + 1
        first.mul_(0.9).add_(part.grad, alpha=0.1)
        second.mul_(0.999).addcmul_(part.grad, part.grad, value=0.001)
        correction = math.sqrt(1 - 0.999**n)
        epsilon = 1e-8 * (1 if options.adamw == "transformers" else correction)
        if options.weight_decay and part.ndim > 1:
            part.mul_(1 - rate * options.weight_decay)
        step_size = rate * correction / (1 - 0.9**n)
        part.addcdiv_(first, second.sqrt() + epsilon, value=-step_size)


def differing(a: dict, b: dict) -> float:
    """Largest difference of two sets of weights.

    Attention ignores the bias of its keys, so that its gradient is only rounding.
    """
    names = [name for name in a if name in b and not name.endswith("k_proj.bias")]
    assert len(names) > 20
    return max(float((a[name] - b[name]).abs().max()) for name in names)


ALONE = sorted(set(RECIPES["paper"]) - {"precision"})  # which is of GPUs
CASES = {"benchmark": {}, "paper": {"recipe": "paper"}} | {
    name: {name: RECIPES["paper"][name]} for name in ALONE
}


@pytest.mark.parametrize("case", CASES)
def test_weights_after_six_steps_are_those_of_the_literal_loop(case, source, tmp_path):
    clips = quiet_noise(has_long_clip=case in ("whole_clips", "paper"))
    options = FinetuneOptions(dropout=0.0, **SAME | CASES[case])
    expected, losses = literal(source, clips, options)
    best = train(source, tmp_path, clips=clips, classes=EMOTIONS, options=options)
    weights = load_file(best / "model.safetensors")
    assert differing(weights, expected) < 1e-5
    assert [epoch["train_loss"] for epoch in history(best)] == pytest.approx(losses, rel=1e-5)
    if case in ALONE:  # the loop would notice the other value
        reverted, _ = literal(source, clips, FinetuneOptions(**SAME))
        assert differing(weights, reverted) > 1e-4


def test_values_are_those_of_the_papers_script_and_of_the_trainer_that_it_runs():
    """run_training.sh and train.py; TrainingArguments of transformers 4.24 where they say nothing
    (weight_decay, max_grad_norm, warmup_steps)."""
    options = FinetuneOptions(recipe="paper")
    script = {"learning_rate": 5e-5, "epochs": 20, "patience": 5, "batch_size": 8}
    script |= {"gradient_accumulation": 1, "freeze_feature_encoder": False, "precision": "fp16"}
    defaults = {"weight_decay": 0.0, "max_gradient_norm": 1.0, "warmup_steps": 0}
    model = {"dropout": 0.1, "lora_rank": None}
    assert script.items() | defaults.items() | model.items() <= vars(options).items()
    assert options.half_type(torch.device("cuda")) == torch.float16
    assert options.half_type(torch.device("cpu")) is None


def test_labels_that_nothing_trains_keep_their_outputs_and_can_be_predicted(source, tmp_path):
    clips = quiet_noise()
    never = [EMOTIONS.index(name) for name in ("fear", "disgust", "excitement", "other")]
    before = load_file(source / "model.safetensors")["classifier.weight"][never]
    kept = {}
    for recipe in RECIPES:
        options = FinetuneOptions(recipe=recipe, dropout=0.0, **SAME | {"epochs": 1})
        asked = {"clips": clips, "validation": clips, "classes": EMOTIONS, "options": options}
        best = train(source, tmp_path / recipe, **asked)
        kept[recipe] = predict(best, clips)[:, never]
        if recipe == "paper":
            after = load_file(best / "model.safetensors")["classifier.weight"][never]
            assert torch.equal(after, before)
    assert kept["paper"].min() > 0.1
    assert kept["benchmark"].max() < 1e-12
    with pytest.raises(SettingError, match="holds another run, with another options"):
        train(source, tmp_path / "paper", **asked | {"options": FinetuneOptions()})


def test_a_long_clip_is_heard_whole_and_as_it_is(source):
    long = quiet_noise(has_long_clip=True).waveform(LONG)
    clips = Labelled(1, lambda i: long, np.array([len(long)]), np.zeros((1, 13), np.int8)).clips
    classifier = Classifier(ModelSpec(str(source), device="cpu"))
    cut = classifier.table(clips)
    classifier.inputs.hear(raw_amplitude=True, whole_clips=True)
    whole = classifier.table(clips)
    with torch.inference_mode():
        expected = classifier.model(torch.tensor(long)[None]).logits
    assert torch.allclose(whole, expected.double(), atol=1e-5)
    assert (whole - cut).abs().max() > 1e-3


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_checkpoint_hears_as_its_recipe_did(recipe, source, tmp_path):
    """Zero-shot too, where nothing but its files tells of the recipe."""
    clips, is_papers = quiet_noise(has_long_clip=True), recipe == "paper"
    options = FinetuneOptions(recipe=recipe, **SAME | {"epochs": 1})
    best = train(source, tmp_path, clips=clips, classes=EMOTIONS, options=options)
    runner = ZeroShot().runner(ModelSpec(str(best), device="cpu"), SCHEMAS["emotion"])
    heard = {"raw_amplitude": is_papers, "whole_clips": is_papers}
    assert runner.used.options.items() >= heard.items()
    classifier, long = runner.classifier, clips.waveform(LONG)
    assert len(classifier.inputs.windows(long)) == (1 if is_papers else 2)
    if is_papers:
        with torch.inference_mode():
            expected = classifier.model(torch.tensor(long)[None]).logits.sigmoid()
        (heard,) = classifier.probabilities(clips_in_memory([long]), exclusive=False)
        np.testing.assert_allclose(heard, expected[0].numpy(), atol=1e-5)
    # whatever a configuration says, memory is bounded
    assert classifier.inputs.n_windows(600 * 16_000) == (5 if is_papers else 20)
    classifier.inputs.hear(whole_clips=False)
    assert len(classifier.inputs.windows(long)) == 2


def test_what_is_no_recipe_is_refused():
    with pytest.raises(UnknownName, match="unknown recipe 'papers': expected one of benchmark, p"):
        FinetuneOptions(recipe="papers")
    with pytest.raises(UnknownName, match="unknown precision 'fp8'"):
        FinetuneOptions(precision="fp8")
    with pytest.raises(SettingError, match="raw_amplitude: expected True or False, found 1"):
        FinetuneOptions(raw_amplitude=1)
