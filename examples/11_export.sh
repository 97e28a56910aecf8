#!/usr/bin/env bash
# A copy for tools that do not know BiMotion: Parquet with the sound inside, which plain `datasets` opens, and a
# script in the manner of run_audio_classification.py of transformers on it.
set -euo pipefail
cd "$(dirname "$0")"
if [ -z "${BIMOTION_CORPORA:-}" ]; then
  echo "SYNTHETIC corpora, ./corpora: formulas, not people. For yours set BIMOTION_CORPORA."
  [ -d corpora ] || bimotion data synth corpora
  export BIMOTION_CORPORA=corpora
fi

# --private-use: also what licences forbid to pass on. Keep the copy to yourself. What is written already is kept.
bimotion data export export --config zho_eld --private-use --allow-missing
python -c "import at_hand; at_hand.tiny_model()"
python run_audio_classification.py --dataset_name export --label_column_name valence --model_name_or_path tiny-model \
  --output_dir trained --num_train_epochs 1 --learning_rate 1e-3 --report_to none
