"""Applications in processes of their own: those that are killed, or whose disk is full, or that begin elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys

START = """
import os, shutil, signal, sys, tempfile, time
from pathlib import Path
import numpy as np
import psutil
from Testing.panel.person import *
desktop = open_desktop("PySide6")
desktop.dialogs.answer = lambda kind, text: True
person = Person(desktop)
person.begin()

def export(suffix, system, path):
    person.widget("formatCombo").setCurrentIndex(person.widget("formatCombo").findData(suffix))
    person.widget("systemCombo").setCurrentIndex(person.widget("systemCombo").findData(system))
    person.answer(save_file=[str(path)], ask=["export"])
    person.press("exportButton")
    return person.widget("exportLabel").text()

def batch(images, results):
    person.panel.input.choose_bundle(HEAD)
    person.answer(open_folder=[str(images), str(results)])
    for name in ("batchInputButton", "batchOutputButton", "batchButton"):
        person.press(name)
    person.wait_until(lambda: not person.panel.batch_run.running)
    person.rest()
    return person.widget("batchMessage").text()
"""


def begin(script: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Begin an application that does as the script says, with a person at it."""
    command = [sys.executable, "-c", START + script, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env={**os.environ, **environment})


def run(script: str, *arguments: object, **environment: str) -> tuple[str, str]:
    """The same to its end: its standard output and its standard error."""
    process = begin(script, *arguments, **environment)
    try:
        out, complaints = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, complaints[-3000:]
    return out, complaints
