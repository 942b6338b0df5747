"""The add-on in other languages: one JSON file each in translations/, English text -> translation."""
from __future__ import annotations

import json
from pathlib import Path

import bpy

from .preferences import PACKAGE
from .text import know

FOLDER = Path(__file__).resolve().parent / "translations"
LOCALES = {"de": "de_DE", "es": "es", "fr": "fr_FR", "ja": "ja_JP", "zh_HANS": "zh_HANS"}  # file -> Blender's name
CONTEXTS = ["*", "Operator"]  # of labels, and of buttons that run operators


def dictionary() -> dict[str, dict[tuple[str, str], str]]:
    """As `bpy.app.translations.register` wants it."""
    return {locale: {(context, text): translated for context in CONTEXTS for text, translated in read(name).items()}
            for name, locale in LOCALES.items()}


def read(name: str) -> dict[str, str]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def add() -> None:
    bpy.app.translations.register(PACKAGE, dictionary())  # type: ignore[arg-type]
    know(read(next(iter(LOCALES))))


def remove() -> None:
    bpy.app.translations.unregister(PACKAGE)
