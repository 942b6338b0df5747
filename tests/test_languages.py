"""Every text of the add-on exists in every language, with the same values in it."""
from __future__ import annotations

import re
from collections import Counter

import bpy
import pytest
from interface_text import texts

from pose2mesh_blender.ui import languages

HOLES = re.compile(r"\{[^}]*\}")
PROPER = {"Pose2Mesh", "CPU", "CUDA", "ROCm", "DirectML", "Core ML", "Metal", "glTF (.glb)", "USD (.usdc)",
          "Alembic (.abc)", "NVIDIA GPU"}  # the same in every language


@pytest.mark.parametrize("name", languages.LOCALES)
def test_every_text_is_translated(name):
    wanted, known = texts(), languages.read(name)
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
