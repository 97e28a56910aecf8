"""Fine-tune with LoRA: train low-rank updates of all linear layers, then use the checkpoint.

With a GPU and a name of the Hub (facebook/wav2vec2-large-xlsr-53) in place of the tiny model, and
without `epochs` and `limit`, this is a real training. Needs the extra `peft`.
"""

import at_hand
from transformers import AutoModelForAudioClassification

import bimotion

if __name__ == "__main__":
    at_hand.corpora()
    result = bimotion.evaluate(
        at_hand.tiny_model(),
        track="finetune",
        finetune=bimotion.FinetuneOptions(lora_rank=8, epochs=2, learning_rate=1e-3),
        protocol="in-group",
        cells=["zho_eld"],
        folds=1,  # of five: one training in place of five
        limit=20,
        allow_missing=True,
    )
    print(bimotion.paper_tables(result))

    # the updates are merged into the weights, so anything that reads transformers models reads this
    [checkpoint] = result.folder().glob("checkpoints/*/best")
    model = AutoModelForAudioClassification.from_pretrained(checkpoint)
    print(f"{checkpoint} hears {', '.join(model.config.id2label.values())}")
