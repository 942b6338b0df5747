# make demo   the real thing on the bundled clip: out/demo.blend, .fbx, .mp4, .png, and demo_game.fbx, .glb
# make test   every test this Python can run (3.11: torch and Blender 4.5; 3.13: Blender 5.2)
# make lint   ruff and types
# make addon  the zips for Blender, into dist/
# make page-pictures  demo_game.fbx and .glb in three.js and Godot beside Blender's render: docs/images/export.png
# make bench  speed ratios on this machine
# make test-gui  a user's way through a real Blender window, with screenshots in out/gui (Linux, root); PICTURES=docs/images
#                makes the pictures of README and guide, too
# Needs make, Python 3.11 or 3.13 with venv, and the shared libraries listed in docs/development.md.
# PYTHON=python3.13 VENV=.venv-3.13 chooses another interpreter and another environment.

VENV ?= .venv
PYTHON ?= $(shell .ci/find-python 3.11 3.13)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

# What the tests need beyond the package. torch 2.13.0 is an exact pin in pyproject.toml, and only Python 3.11 gets it
# here: an open range would let pip choose the newest release, whose Linux wheel brings gigabytes of CUDA.
TEST_EXTRAS = $(shell $(BIN)/python -c "import sys; print('blender,train,render,smplx,assets,dev' if sys.version_info < (3, 12) else 'blender,render,dev')")

.PHONY: setup demo test lint addon page-pictures bench test-gui icons clean help

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

# Each stamp is the record of one finished install; it is remade when pyproject.toml changes.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: set PYTHON to a Python 3.11 or 3.13" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade "pip>=25"

$(VENV)/.stamp-demo: pyproject.toml | $(BIN)/python
	$(PIP) install -e ".[blender]"
	@touch $@

$(VENV)/.stamp-test: pyproject.toml | $(BIN)/python
	$(PIP) install -e ".[$(TEST_EXTRAS)]"
	@touch $@ $(VENV)/.stamp-demo

setup: $(VENV)/.stamp-test

DEMO := --take out/demo.take tests/data/demo/demo.mp4

demo: $(VENV)/.stamp-demo
	@mkdir -p out
	$(BIN)/pose2mesh animate $(DEMO) --preset exact -o out/demo.blend -o out/demo.fbx -o out/demo.mp4 -o out/demo.png
	$(BIN)/pose2mesh animate $(DEMO) --people 1 --preset unity -o out/demo_game.fbx -o out/demo_game.glb

test: $(VENV)/.stamp-test
	$(BIN)/python -m pytest

lint: $(VENV)/.stamp-test
	$(BIN)/ruff check .
	$(BIN)/mypy

addon: $(VENV)/.stamp-demo
	$(BIN)/python build_addon.py --validate

# three.js and Godot in headless Chromium, all from npm; Linux on x86_64.
page-pictures: $(VENV)/.stamp-test
	$(BIN)/python tests/page_pictures.py out/demo.take out/demo_game.fbx out/demo_game.glb -o docs/images/export.png

bench: $(VENV)/.stamp-demo
	$(BIN)/pose2mesh bench

# A real Blender window on a virtual screen; Linux, root and about 2 GB: see docs/development.md.
test-gui: $(VENV)/.stamp-demo
	$(BIN)/python build_addon.py --platform linux-x64 --python 3.14
	$(BIN)/python tests/gui/walk.py $(if $(PICTURES),--pictures $(PICTURES))

# The small pictures in both tones, from their drawings; needs ImageMagick.
icons:
	for name in pose2mesh person; do \
		convert -background none -density 288 icons/$$name.svg -resize 64x64 -strip icons/$${name}_light.png; \
		sed 's/#e8e8e8/#2b2b2b/g; s/#ff9a3c/#c25e00/g' icons/$$name.svg | \
		convert -background none -density 288 svg:- -resize 64x64 -strip icons/$${name}_dark.png; \
	done

clean:
	rm -rf $(VENV) out dist build .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
