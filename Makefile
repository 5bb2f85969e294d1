# One word each: install, demo, test, check, bench, screenshots, test-slow, test-page, test-api, test-gpu, lock, clean.
#   make demo PHOTOS=~/Pictures [PORT=6066]      make test [TESTS="tests/test_shard.py -k merge"]

VENV ?= .venv
PORT ?= 6066
PHOTOS ?=
TESTS ?= tests
EXTRAS ?= demo,heic,dev
STAMP = $(VENV)/installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)-$(EXTRAS)
# Annoy is compiled here. It defaults to -march=native, which is right for the machine at hand.

.PHONY: install demo test check bench screenshots test-slow test-page test-api test-gpu lock clean
.DEFAULT_GOAL := install

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@./deploy/install $(VENV) $(EXTRAS)
	@rm -f $(VENV)/installed-* && touch $@

demo: $(STAMP)
	@exec $(VENV)/bin/sightline up --port $(PORT) $(if $(PHOTOS),--photos "$(PHOTOS)",--starter)

test: $(STAMP)
	@$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal -m "not browser and not slow" $(TESTS)

check: $(STAMP)
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/python -m pytest -q tests/test_import_floors.py

bench: $(STAMP)
	@$(VENV)/bin/python -c "import faiss, hnswlib, usearch, voyager" 2>/dev/null \
		|| ./deploy/install $(VENV) $(EXTRAS),bench
	@set -e; for each in tests/benchmarks/bench_*.py; do echo "== $$each"; $(VENV)/bin/python $$each; done

# What would make `make test` take more than ten minutes on two cores.
test-slow: $(STAMP)
	@$(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal -m slow tests

# The pages in Debian's Chromium; SIGHTLINE_SCREENSHOTS=FOLDER keeps what it saw.
test-page: $(STAMP)
	@$(VENV)/bin/python -m pytest -m browser tests

# Some minutes: 10,000 requests, right and wrong ones, to a worker of their own; `make test` sends a tenth of them.
test-api: $(STAMP)
	@$(VENV)/bin/python tests/api_cases.py 10000

# README's pictures, of the starter album; needs Chromium.
screenshots: $(STAMP)
	@$(VENV)/bin/python tests/screenshots.py

test-gpu: $(STAMP)
	@$(VENV)/bin/python -c "import tensorflow as tf, sys; sys.exit(not tf.config.list_physical_devices('GPU'))" \
		2>/dev/null && $(VENV)/bin/python -m pytest tests/test_gpu.py \
		|| { echo "make test-gpu: expected a GPU that TensorFlow can use, found none. 'make test' needs none."; exit 1; }

# Writes the exact versions that `install` uses: what pip resolves today, on the oldest Python that we support.
lock:
	@./deploy/lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info bench-out
