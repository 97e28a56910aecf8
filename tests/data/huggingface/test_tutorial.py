"""The audio classification tutorial of transformers, word for word on a config:
https://huggingface.co/docs/transformers/tasks/audio_classification"""

import numpy as np
import pytest
from datasets import Audio, load_dataset
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    Trainer,
    TrainingArguments,
)

import bimotion
from bimotion.data.huggingface.builder import torchcodec_works
from tests.support import tiny_models


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return str(tiny_models.build("wav2vec2-group", tmp_path_factory.mktemp("tutorial") / "tiny"))


def preprocessed(ds, feature_extractor):
    """The tutorial's `preprocess_function`; where torchcodec cannot decode, `bimotion.decode(x)`
    stands for `x["array"]`."""
    if torchcodec_works():
        ds = ds.cast_column("audio", Audio(sampling_rate=16_000))

    def preprocess_function(examples):
        audio_arrays = [
            x["array"] if torchcodec_works() else bimotion.decode(x) for x in examples["audio"]
        ]
        return feature_extractor(
            audio_arrays,
            sampling_rate=feature_extractor.sampling_rate,
            max_length=16000,
            truncation=True,
        )

    return ds.map(preprocess_function, remove_columns="audio", batched=True)


def compute_metrics(eval_pred):
    predictions = np.argmax(eval_pred.predictions, axis=1)
    return {"accuracy": float((predictions == eval_pred.label_ids).mean())}


def trained(emotional, checkpoint, folder):
    """The tutorial's trainer, after its training."""
    labels = emotional["train"].features["label"].names
    feature_extractor = AutoFeatureExtractor.from_pretrained(checkpoint)
    encoded = preprocessed(emotional, feature_extractor)
    model = AutoModelForAudioClassification.from_pretrained(
        checkpoint,
        num_labels=len(labels),
        label2id={label: str(i) for i, label in enumerate(labels)},
        id2label={str(i): label for i, label in enumerate(labels)},
    )
    training_args = TrainingArguments(
        output_dir=str(folder / "my_awesome_mind_model"),
        eval_strategy="epoch",
        save_strategy="epoch",
        learning_rate=3e-5,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        per_device_eval_batch_size=4,
        num_train_epochs=1,
        warmup_steps=1,
        logging_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        report_to="none",
        use_cpu=True,
    )
    trainer = Trainer(
        model=model,
        args=training_args,
        train_dataset=encoded["train"],
        eval_dataset=encoded["test"],
        processing_class=feature_extractor,
        compute_metrics=compute_metrics,
    )
    assert np.isfinite(trainer.train().training_loss)
    return trainer.predict(encoded["test"]), labels


@pytest.mark.parametrize("column", ["label", "valence"])
def test_the_tutorial_runs_on_a_config(synth_root, tmp_path, checkpoint, column):
    options = {"data_dir": str(synth_root), "only": ["elderreact", "tess"]}
    emotional = load_dataset("bimotion", "eng_eld", **options)
    emotional["train"] = emotional["train"].select(range(0, len(emotional["train"]), 16))
    # clips without a label among them
    emotional["test"] = emotional["test"].sort("label", reverse=True).select(range(12))
    if column != "label":
        emotional = emotional.remove_columns("label").rename_column(column, "label")
    predicted, labels = trained(emotional, checkpoint, tmp_path)
    assert predicted.predictions.shape == (len(emotional["test"]), len(labels))
    # not `labels`, which is in the rows too
    assert predicted.label_ids.tolist() == emotional["test"]["label"][:]
    assert labels.index("none") in predicted.label_ids
