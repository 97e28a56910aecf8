"""The audio classification tutorial of transformers, word for word on a config:
https://huggingface.co/docs/transformers/tasks/audio_classification"""

import numpy as np
import pytest
from datasets import Audio, load_dataset

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


@pytest.mark.parametrize("column", ["label", "valence"])
def test_the_tutorial_runs_on_a_config(synth_root, tmp_path, checkpoint, column):
    from transformers import (
        AutoFeatureExtractor,
        AutoModelForAudioClassification,
        Trainer,
        TrainingArguments,
    )

    emotional = load_dataset(
        "bimotion", "eng_eld", data_dir=str(synth_root), only=["elderreact", "tess"]
    )
    emotional["train"] = emotional["train"].select(range(0, len(emotional["train"]), 8))
    # clips without a label among them
    emotional["test"] = emotional["test"].sort("label", reverse=True).select(range(12))
    if column != "label":
        emotional = emotional.remove_columns("label").rename_column(column, "label")
    labels = emotional["train"].features["label"].names
    label2id, id2label = {}, {}
    for i, label in enumerate(labels):
        label2id[label] = str(i)
        id2label[str(i)] = label

    feature_extractor = AutoFeatureExtractor.from_pretrained(checkpoint)
    encoded = preprocessed(emotional, feature_extractor)

    def compute_metrics(eval_pred):
        predictions = np.argmax(eval_pred.predictions, axis=1)
        return {"accuracy": float((predictions == eval_pred.label_ids).mean())}

    model = AutoModelForAudioClassification.from_pretrained(
        checkpoint, num_labels=len(labels), label2id=label2id, id2label=id2label
    )
    training_args = TrainingArguments(
        output_dir=str(tmp_path / "my_awesome_mind_model"),
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
    found = trainer.predict(encoded["test"])
    assert found.predictions.shape == (len(emotional["test"]), len(labels))
    # not `labels`, which is in the rows too
    assert found.label_ids.tolist() == emotional["test"]["label"][:]
    assert labels.index("none") in found.label_ids
