# Two commands do everything on a machine with Python >= 3.11 and a package index: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo

.PHONY: demo test check site board pin clean

.venv/.made: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"expected Python >= 3.11, found {sys.version.split()[0]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Synthetic corpora, the classical floor model over the whole protocol, the table and the paths of its JSON.
demo: .venv/.made
	$(BIN)/bimotion data synth $(DEMO)/corpora
	$(BIN)/bimotion evaluate --model bimotion/prosody --corpora $(DEMO)/corpora --output $(DEMO)/results

test: .venv/.made
	$(BIN)/python -m pytest -n auto --dist loadfile -rs

check: .venv/.made
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The first board: baselines on your own corpora (make board CORPORA=/corpora) and the paper's rows; only these without CORPORA.
board: .venv/.made
	$(if $(CORPORA),$(BIN)/bimotion leaderboard baselines --corpora $(CORPORA) $(PRACTICE))
	$(if $(CORPORA),$(BIN)/bimotion leaderboard baselines --corpora $(CORPORA) --preset paper $(PRACTICE))
	$(BIN)/bimotion leaderboard build --output build/board $(PRACTICE)

# The documentation as a site, build/site/index.html; a link that leads nowhere is an error.
site: .venv/.made
	$(BIN)/mkdocs build --strict

pin: .venv/.made
	@{ echo "# Everything that 'make demo', 'make test', 'make check' and 'make site' install, pinned. Made by 'make pin' in a working .venv."; \
	   $(BIN)/pip freeze --all --exclude-editable | grep -vE '^pip==' | sed 's/+cpu$$//'; } > requirements.txt

clean:
	rm -rf .venv $(DEMO) build
