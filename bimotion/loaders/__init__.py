"""The Hugging Face view: one builder and one dataset card each for BiMotion and YueMotion, from the
folder `loaders/`."""

from bimotion.data.huggingface.cards import FOLDER

# where Python looks for bimotion.loaders.bimotion and bimotion.loaders.yuemotion
__path__ = [str(FOLDER)]
