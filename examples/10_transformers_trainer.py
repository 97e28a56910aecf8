"""The Trainer of transformers on our datasets, with our metric in `evaluate`.

`label` and `valence` of every dataset are one class a clip, as the audio classification tutorial of
transformers has them.
"""

import at_hand
import evaluate
import torch
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    Trainer,
    TrainingArguments,
)

import bimotion
from bimotion.results import evaluate_metric

CLASSES = ("positive", "neutral", "negative")


def examples_of(dataset, extractor):
    """The clips of a part with a valence, each as the model takes it."""

    def prepared(row):
        waveform = bimotion.decode(row["audio"])
        values = extractor(waveform, sampling_rate=16_000).input_values[0]
        return {"input_values": values, "labels": row["valence"]}

    names = dataset.features["valence"].names
    assert tuple(names[: len(CLASSES)]) == CLASSES
    with_valence = dataset.filter(lambda valence: valence < len(CLASSES), input_columns="valence")
    return with_valence.map(prepared, remove_columns=dataset.column_names)


def main() -> None:
    at_hand.corpora()
    name = at_hand.tiny_model()
    extractor = AutoFeatureExtractor.from_pretrained(name)
    model = AutoModelForAudioClassification.from_pretrained(
        name, id2label=dict(enumerate(CLASSES)), label2id={c: n for n, c in enumerate(CLASSES)}
    )
    ds = bimotion.load_dataset("bimotion", "zho_eld", allow_missing=True)
    parts = {part: examples_of(ds[part], extractor) for part in ds}

    metric = evaluate.load(evaluate_metric.__file__)

    def scores_of(predicted):
        probabilities = torch.tensor(predicted.predictions).softmax(-1).numpy()
        truth = torch.nn.functional.one_hot(torch.tensor(predicted.label_ids), len(CLASSES))
        return metric.compute(predictions=probabilities, references=truth.numpy(), schema="valence")

    trainer = Trainer(
        model,
        TrainingArguments(
            "trainer", num_train_epochs=1, learning_rate=1e-3, eval_strategy="epoch", report_to=[]
        ),
        data_collator=lambda rows: extractor.pad(rows, return_tensors="pt"),
        train_dataset=parts["train"],
        eval_dataset=parts["validation"],
        compute_metrics=scores_of,
    )
    trainer.train()
    for metric_name, value in trainer.evaluate(parts["test"]).items():
        print(f"{metric_name}: {value}")


if __name__ == "__main__":
    main()
