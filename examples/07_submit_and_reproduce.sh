#!/usr/bin/env bash
# A submission's whole way: run, submit, verify, run again, board. --practice marks what has synthetic or incomplete
# corpora, and lets it pass; a true submission has all corpora, and no --practice, --allow-missing or --cells.
set -euo pipefail
cd "$(dirname "$0")"
if [ -z "${BIMOTION_CORPORA:-}" ]; then
  echo "SYNTHETIC corpora, ./corpora: formulas, not people. For yours set BIMOTION_CORPORA."
  [ -d corpora ] || bimotion data synth corpora
  export BIMOTION_CORPORA=corpora
fi
rm -rf board && mkdir board

# who enters: a run, packed with a statement of what the model was trained on before ('' = nothing)
bimotion evaluate --model bimotion/prosody --protocol in-group --cells zho_eld --allow-missing --output board/results
bimotion submit board/results/bimotion__prosody/*/ --contact me@lab.example --trained-on '' --practice -o board/submissions

# who keeps the board: scores from predictions; then predictions from the model (--baseline: it is one, made by ourselves)
submission=$(echo board/submissions/*/*/)
bimotion leaderboard verify "$submission" --baseline --practice
bimotion leaderboard reproduce "$submission"
bimotion leaderboard build board/submissions --practice -o board/site
echo "Open board/site/index.html"
