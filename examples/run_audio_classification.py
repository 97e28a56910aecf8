"""Train a classifier on any audio dataset, after run_audio_classification.py of transformers.

It imports nothing of BiMotion. Sound is decoded by soundfile, so FFmpeg is not needed; every option
of TrainingArguments is one of this script.
"""

import io
from dataclasses import dataclass

import numpy as np
import soundfile
from datasets import Audio, load_dataset
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    HfArgumentParser,
    Trainer,
    TrainingArguments,
)


@dataclass
class Arguments:
    """The data and the model."""

    dataset_name: str
    model_name_or_path: str = "facebook/wav2vec2-base"
    audio_column_name: str = "audio"
    label_column_name: str = "label"


def main() -> None:
    given, training = HfArgumentParser((Arguments, TrainingArguments)).parse_args_into_dataclasses()
    ds = load_dataset(given.dataset_name)
    ds = ds.cast_column(given.audio_column_name, Audio(decode=False))
    names = ds["train"].features[given.label_column_name].names
    extractor = AutoFeatureExtractor.from_pretrained(given.model_name_or_path)

    def prepared(row):
        waveform, rate = soundfile.read(io.BytesIO(row[given.audio_column_name]["bytes"]))
        values = extractor(waveform, sampling_rate=rate).input_values[0]
        return {"input_values": values, "labels": row[given.label_column_name]}

    def accuracy(predicted):
        return {"accuracy": np.mean(predicted.predictions.argmax(-1) == predicted.label_ids)}

    model = AutoModelForAudioClassification.from_pretrained(
        given.model_name_or_path,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )
    ds = ds.map(prepared, remove_columns=ds["train"].column_names)
    trainer = Trainer(
        model,
        training,
        data_collator=lambda rows: extractor.pad(rows, return_tensors="pt"),
        train_dataset=ds["train"],
        eval_dataset=ds["validation"],
        compute_metrics=accuracy,
    )
    trainer.train()
    trainer.save_model()
    print(trainer.evaluate(ds["test"]))


if __name__ == "__main__":
    main()
