"""Every text of the add-on exists in every language, with the same values in it."""
from __future__ import annotations

import re
from collections import Counter

import bpy
import pytest
from interface_text import errors, texts, untold

from pose2mesh_blender.core.errors import TakeError
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.ui import languages
from pose2mesh_blender.ui import text as words

HOLES = re.compile(r"\{[^}]*\}")
PROPER = {"Pose2Mesh", "CPU", "CUDA", "ROCm", "DirectML", "Core ML", "Metal", "glTF (.glb)", "USD (.usdc)",
          "Alembic (.abc)", "NVIDIA GPU", "Alembic", "PC2"}  # the same in every language


@pytest.mark.parametrize("name", languages.LOCALES)
def test_every_text_is_translated(name):
    wanted, known = {**texts(), **errors()}, languages.read(name)
    missing = {text: sorted(files) for text, files in wanted.items() if text not in known}
    assert not missing, f"add them to ui/translations/{name}.json"
    assert not set(known) - set(wanted), f"nobody shows these any more: remove them from {name}.json"


@pytest.mark.parametrize("name", languages.LOCALES)
def test_translations_hold_the_same_values(name):
    for text, translated in languages.read(name).items():
        assert Counter(HOLES.findall(text)) == Counter(HOLES.findall(translated)), text
        if HOLES.findall(text) and len(set(HOLES.findall(text))) > 1:
            assert HOLES.findall(text) == HOLES.findall(translated), f"the order of values: {text}"
        assert translated.strip()
        assert not translated.endswith(" ")
    same = [text for text, translated in languages.read(name).items() if text == translated and text not in PROPER
            and HOLES.sub("", text).strip(" ,.:;/()")]
    assert len(same) < 12, f"left in English? {same}"


def test_nothing_is_shown_past_the_translation():
    assert not untold()


def test_errors_are_found_in_the_sources():
    found = errors()
    for part in ("{} is not a take: it has no take.json.", "Choose the folder that holds take.json.",
                 "Delete the folder, or name another one.", "Not enough memory.", "Choose frames that it has.",
                 "It must hold keypoints (T,J,3) or (P,T,J,3), skeleton (one of {}) and image_size (W,H)."):
        assert part in found
    assert all(part.endswith(".") for part in found), "what `told` takes for an error ends in a full stop"


@pytest.fixture
def german(monkeypatch):
    """The translations at work: Blender's Python module is built without them."""
    known = languages.read("de")
    words.know(known)
    monkeypatch.setattr(words, "pgettext_rpt", lambda message: known.get(message, message))
    yield
    words.know(())


def test_errors_are_told_in_the_users_language(german, tmp_path):
    folder = tmp_path / "no take. Here"
    with pytest.raises(TakeError) as refused:
        Take.open(folder)
    said = f"{folder} ist kein Take: take.json fehlt. Den Ordner wählen, in dem take.json liegt."
    assert words.told(refused.value) == said
    assert words.told(str(refused.value)) == said  # as it comes from the worker
    assert words.told("A driver's own words: nothing that we know") == "A driver's own words: nothing that we know"


@pytest.mark.parametrize("name", languages.LOCALES)
def test_every_error_finds_its_own_translation(name, monkeypatch):
    known = languages.read(name)
    words.know(known)
    monkeypatch.setattr(words, "pgettext_rpt", lambda message: known.get(message, message))
    values = [f"V{n}" for n in range(9)]
    try:
        for error in errors():
            assert words.told(error.format(*values)) == known[error].format(*values), error
    finally:
        words.know(())


def test_texts_are_found_in_the_sources():
    found = texts()
    for text in ("Animate", "Find the people in the footage and animate a mesh for each", "Smoothing", "Accurate",
                 "Best result", "{} of {}: {}", "Choose footage first: a video, an image, or a folder of images",
                 "Finding people", "Stop at Once"):
        assert text in found
    assert len(found) > 250


def test_labels_are_in_blenders_cases():
    """Titles of buttons and fields begin with a capital, tooltips have no full stop."""
    for text in texts():
        assert text[0].isupper() or not text[0].isalpha() or text in ("glTF (.glb)", "then export."), text


def test_blender_takes_the_dictionary():
    bpy.app.translations.register("pose2mesh_test", languages.dictionary())
    try:
        if bpy.app.translations.locales:  # the module is built without languages, the program with
            view = bpy.context.preferences.view
            view.language, view.use_translate_interface = "de_DE", True
            assert bpy.app.translations.pgettext_iface("Animate All") == "Alle animieren"
            view.language = "en_US"
    finally:
        bpy.app.translations.unregister("pose2mesh_test")
