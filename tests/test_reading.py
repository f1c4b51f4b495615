"""Sources as values: which files a program reads, how surely, and from where, for each freezer."""

from __future__ import annotations

import textwrap

import pytest

from depfix.errors import DataFileError
from depfix.imports.reader import read_constants, read_source
from depfix.imports.reading import may_read
from depfix.imports.uses import DataUse, SourceTarget, Strength
from depfix.imports.values import Anchor, Hole, Outer, Own, PackageFolder, Text
from depfix.knowledge import file_readers
from depfix.knowledge.file_readers import file_calls

NUITKA = SourceTarget((3, 11), freezer="nuitka")
IMPORTS = """
import argparse, bz2, codecs, configparser, glob, gzip, importlib.resources, io, json, logging.config, lzma, os, pathlib
import pickle, pkgutil, shelve, shutil, sqlite3, sys, tarfile, tempfile, wave, zipfile
from dataclasses import dataclass, field
from pathlib import Path
"""


def reads(source: str, freezer: str = "nuitka", *, is_program: bool = True) -> list[DataUse]:
    target = SourceTarget((3, 11), freezer=freezer)
    whole = (IMPORTS + textwrap.dedent(source)).encode()
    facts = read_source(whole, target, is_program=is_program, is_own=True)
    assert not facts.error
    return [use for use in facts.uses if isinstance(use, DataUse)]


def shown(text: Text) -> str:
    def one(part: object) -> str:
        if isinstance(part, (Anchor, Own)):
            return f"<{part.value}>"
        if isinstance(part, PackageFolder):
            return f"<{part.package}>"
        if isinstance(part, Outer):
            return f"<{part.name}>"
        return "*" if isinstance(part, Hole) else str(part)

    return "".join(map(one, text.parts)).replace("\\", "/")


def paths(source: str, freezer: str = "nuitka") -> list[str]:
    return [shown(use.path) for use in reads(source, freezer)]


# --- calls ---


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("open('a.txt')", "a.txt"),
        ("open(file='a.txt', mode='rb')", "a.txt"),
        ("open('a.txt', 'r+')", "a.txt"),
        ("io.open(r'data\\a.txt')", "data/a.txt"),
        ("codecs.open('a.txt', 'r', 'utf-8')", "a.txt"),
        ("json.load(open('a.json', encoding='utf-8'))", "a.json"),
        ("with open('a.pkl', 'rb') as f:\n    pickle.load(f)", "a.pkl"),
        ("gzip.open('a.gz')", "a.gz"),
        ("bz2.open('a.bz2', 'rt')", "a.bz2"),
        ("lzma.open('a.xz')", "a.xz"),
        ("zipfile.ZipFile('a.zip')", "a.zip"),
        ("tarfile.open('a.tar')", "a.tar"),
        ("wave.open('a.wav', 'rb')", "a.wav"),
        ("logging.config.fileConfig('log.ini')", "log.ini"),
        ("Path('a.txt').read_text()", "a.txt"),
        ("(Path('data') / 'a.bin').read_bytes()", "data/a.bin"),
        ("Path('data').joinpath('a.bin').open()", "data/a.bin"),
        ("(pathlib.Path(__file__).resolve().parent / 'a.txt').read_text()", "<here>/a.txt"),
        ("shutil.copy('template.db', tempfile.gettempdir())", "template.db"),
        ("import numpy as np\nnp.load('a.npy')", "a.npy"),
        ("import numpy\nnumpy.loadtxt(fname='a.csv')", "a.csv"),
        ("import pandas as pd\npd.read_csv('a.csv', sep=';')", "a.csv"),
        ("import pandas as pd\npd.read_excel(io='a.xlsx')", "a.xlsx"),
        ("import torch\ntorch.load('m.pt', map_location='cpu')", "m.pt"),
        ("import torch\nm = torch.jit.load(f='m.pt')", "m.pt"),
        ("import cv2\ncv2.imread('a.png')", "a.png"),
        ("import cv2\ncv2.VideoCapture('a.mp4')", "a.mp4"),
        ("import cv2\ncv2.CascadeClassifier('face.xml')", "face.xml"),
        ("from PIL import Image\nImage.open('a.png')", "a.png"),
        ("from PIL import ImageFont\nImageFont.truetype('fonts/a.ttf', 12)", "fonts/a.ttf"),
        ("import joblib\njoblib.load('m.joblib')", "m.joblib"),
        ("import onnxruntime as ort\nort.InferenceSession('m.onnx')", "m.onnx"),
        ("from tensorflow.keras.models import load_model\nload_model('m.h5')", "m.h5"),
        ("from tensorflow import keras\nkeras.models.load_model('m.h5')", "m.h5"),
        ("model = make()\nmodel.load_weights('w.h5')", "w.h5"),
        ("import matplotlib.pyplot as plt\nplt.imread('a.png')", "a.png"),
        ("import matplotlib.pyplot as plt\nplt.style.use('my.mplstyle')", "my.mplstyle"),
        ("from matplotlib.font_manager import FontProperties\nFontProperties(fname='a.ttf')", "a.ttf"),
        ("from PyQt5 import uic\nuic.loadUi('a.ui')", "a.ui"),
        ("from PySide6.QtUiTools import QUiLoader\nloader = QUiLoader()\nloader.load('a.ui')", "a.ui"),
        ("import tkinter as tk\ntk.PhotoImage(file='a.png')", "a.png"),
        ("from tkinter import *\nimage = PhotoImage(file='a.png')", "a.png"),
        ("import tkinter as tk\nroot = tk.Tk()\nroot.iconbitmap('a.ico')", "a.ico"),
        ("import tkinter as tk\nroot = tk.Tk()\nroot.tk.call('source', 'azure.tcl')", "azure.tcl"),
        ("import pygame\npygame.image.load('a.png')", "a.png"),
        ("import pygame\npygame.mixer.music.load('a.ogg')", "a.ogg"),
        ("from kivy.lang import Builder\nBuilder.load_file('a.kv')", "a.kv"),
        ("pkgutil.get_data('pkg', 'a.txt')", "<pkg>/a.txt"),
        ("importlib.resources.read_text('pkg', 'a.txt')", "<pkg>/a.txt"),
        ("from importlib import resources\nresources.files('pkg').joinpath('a.txt').read_text()", "<pkg>/a.txt"),
        ("from importlib.resources import files\nopen(files('pkg.sub') / 'a.txt')", "<pkg.sub>/a.txt"),
        ("import pkg_resources\nopen(pkg_resources.resource_filename('pkg', 'a.txt'))", "<pkg>/a.txt"),
        ("import pkg_resources\npkg_resources.resource_string('pkg', 'a.txt')", "<pkg>/a.txt"),
    ],
)
def test_what_a_call_reads(source: str, path: str) -> None:
    (use,) = reads(source)
    assert shown(use.path) == path
    assert use.where.strength(load=True) is Strength.REQUIRED
    assert not use.folder


@pytest.mark.parametrize(
    ("source", "path", "is_folder"),
    [
        ("os.listdir('icons')", "icons", True),
        ("for root, dirs, files in os.walk('icons'):\n    pass", "icons", True),
        ("list(Path('icons').iterdir())", "icons", True),
        ("glob.glob('icons/*.png')", "icons/*.png", False),
        ("glob.glob('icons/**/*.png', recursive=True)", "icons", True),
        ("Path('icons').glob('*.png')", "icons/*.png", False),
        ("Path('icons').rglob('*.png')", "icons/*.png", True),
        (
            "from jinja2 import Environment, FileSystemLoader\nEnvironment(loader=FileSystemLoader('views'))",
            "views",
            True,
        ),
        ("import torch\ntorch.hub.load('./dinov2', 'tiny', source='local')", "./dinov2", True),
    ],
)
def test_folders_and_patterns(source: str, path: str, is_folder: bool) -> None:
    use = reads(source)[0]
    assert (shown(use.path), use.folder) == (path, is_folder)
    assert use.starts == ("hubconf.py" if "hub" in source else "")


@pytest.mark.parametrize(
    "source",
    [
        "from PyQt5.QtGui import QIcon\nQIcon('a.png')",
        "from PySide6.QtGui import *\nQPixmap('a.png')",
        "c = configparser.ConfigParser()\nc.read('a.ini')",
        "from PyQt6.QtCore import QTranslator\nt = QTranslator()\nt.load('a.qm')",
        "import random\nopen('a.txt' if random.random() > 0.5 else 'b.txt')",
        "import random\nif random.random():\n    open('a.txt')",
        "try:\n    open('a.txt')\nexcept Exception:\n    pass",  # nobody thought of an absent file there
        "import random\nif random.random():\n    open('a.txt', 'w')\nopen('b.txt')\nopen('a.txt')",
    ],
)
def test_what_can_do_without_is_conditional(source: str) -> None:
    found = reads(source)
    assert found
    assert all(use.where.conditional for use in found if shown(use.path)[0] == "a")
    assert all(use.where.strength(load=True) is Strength.PROBABLE for use in found if shown(use.path)[0] == "a")


@pytest.mark.parametrize(
    "source",
    [
        "if os.path.exists('a.txt'):\n    open('a.txt')",
        "if not os.path.exists('a.txt'):\n    print('none')\nelse:\n    open('a.txt')",
        "p = Path('a.txt')\nif p.is_file():\n    p.read_text()",
        "if not os.path.isdir('cache'):\n    fetch()\nopen('cache/a.txt')",
        "there = os.path.exists('a.txt')\nif there:\n    open('a.txt')",
        "try:\n    open('a.txt')\nexcept FileNotFoundError:\n    pass",
        "try:\n    open('a.txt')\nexcept (OSError, ValueError):\n    pass",
        "from dotenv import load_dotenv\nload_dotenv('.env')",
        "sqlite3.connect('a.db')",
    ],
)
def test_what_is_guarded_is_optional(source: str) -> None:
    assert [use.where.strength(load=True) for use in reads(source)] == [Strength.OPTIONAL]


@pytest.mark.parametrize(
    "source",
    [
        "if not os.path.exists('a.txt'):\n    raise SystemExit('a.txt is missing')\nopen('a.txt')",
        "if not os.path.exists('a.txt'):\n    sys.exit(1)\nopen('a.txt')",
        "try:\n    open('a.txt')\nexcept FileNotFoundError:\n    sys.exit(1)",
    ],
)
def test_a_check_that_ends_the_program_makes_nothing_optional(source: str) -> None:
    assert [use.where.strength(load=True) for use in reads(source)] == [Strength.REQUIRED]


@pytest.mark.parametrize(
    "source",
    [
        "open('a.txt', 'w')",
        "open('a.txt', mode='ab')",
        "open('a.txt', sys.argv[2])",
        "with open('a.txt', 'w') as f:\n    f.write('x')\nopen('a.txt')",
        "Path('a.txt').write_text('x')\nPath('a.txt').read_text()",
        "os.makedirs('out', exist_ok=True)\nopen('out/a.txt')",
        "import numpy as np\nnp.save('a.npy', x)\nnp.load('a.npy')",
        "import torch\ntorch.save(m, 'a.pt')\ntorch.load('./a.pt')",
        "import cv2\ncv2.imwrite('a.png', x)\ncv2.imread('a.png')",
        "import urllib.request\nurllib.request.urlretrieve(url, 'a.zip')\nzipfile.ZipFile('a.zip')",
        "import pandas as pd\ndf.to_csv('a.csv')\npd.read_csv('a.csv')",
        "with tempfile.TemporaryDirectory() as d:\n    open(os.path.join(d, 'a.txt'))",
        "open(tempfile.mkstemp()[1])",
        "open(sys.argv[1])",
        "open(input('which? '))",
        "def read(path):\n    return open(path)",
        "def read(path):\n    return open(os.path.join(os.path.dirname(path), 'a.txt'))",
        "open(0)",
        "open(os.devnull)",
        "open('')",
        "import pandas as pd\npd.read_csv('https://example.org/a.csv')",
        "open(os.path.expanduser('~/.config/a.txt'))",
        "open(os.path.join(os.environ['APPDATA'], 'a.txt'))",
        "import cv2\ncv2.VideoCapture(0)",
        "sqlite3.connect(':memory:')",
        "from PyQt5.QtGui import QIcon\nQIcon(':/icons/a.png')",
        "import torch\ntorch.hub.load('pytorch/vision', 'resnet18')",
        "import matplotlib.pyplot as plt\nplt.style.use('ggplot')",
        "os.listdir('.')",
        "os.listdir()",
    ],
)
def test_what_is_no_requirement(source: str) -> None:
    assert paths(source) == []


# --- how a path comes about ---


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("def read(name):\n    with open(name) as f:\n        return f.read()\nread('a.txt')", "a.txt"),
        ("BASE = 'data'\ndef inside(name):\n    return os.path.join(BASE, name)\nopen(inside('a.txt'))", "data/a.txt"),
        ("class C:\n    path = 'a.txt'\nopen(C.path)", "a.txt"),
        ("class C:\n    path = 'a.txt'\n    def run(self):\n        open(self.path)\nC().run()", "a.txt"),
        ("class C:\n    def __init__(self, p):\n        self.p = p\n    def run(self):\n        open(self.p)\nC('a.txt').run()", "a.txt"),
        ("class B:\n    folder = 'data'\nclass C(B):\n    def run(self):\n        open(f'{self.folder}/a.txt')\nC().run()", "data/a.txt"),
        ("class C:\n    @property\n    def p(self):\n        return 'a.txt'\n    def run(self):\n        open(self.p)\nC().run()", "a.txt"),
        ("class C:\n    @staticmethod\n    def p(x):\n        return 'data/' + x\nopen(C.p('a.txt'))", "data/a.txt"),
        ("@dataclass\nclass C:\n    p: str = 'a.txt'\nopen(C().p)", "a.txt"),
        ("@dataclass\nclass C:\n    p: str = field(default='a.txt')\nopen(C().p)", "a.txt"),
        ("TABLE = {'model': 'm.pt', 'icon': 'a.ico'}\nopen(TABLE['icon'])", "a.ico"),
        ("os.chdir(os.path.dirname(os.path.abspath(__file__)))\nopen('a.txt')", "<here>/a.txt"),
        ("from config import DATA\nopen(os.path.join(DATA, 'a.txt'))", "<config.DATA>/a.txt"),
        ("import config\nopen(config.FILE)", "<config.FILE>"),
    ],
)  # fmt: skip
def test_where_a_path_comes_from(source: str, path: str) -> None:
    (use,) = reads(source)
    assert shown(use.path) == path
    assert use.where.strength(load=True) is Strength.REQUIRED


@pytest.mark.parametrize(
    "source",
    [
        "p = argparse.ArgumentParser()\np.add_argument('--weights', '-w', type=str, default='./w.pt')\na = p.parse_args()\nopen(a.weights)",
        "p = argparse.ArgumentParser()\np.add_argument('-m', '--my-model', default='./w.pt')\na, rest = p.parse_known_args()\nopen(a.my_model)",
        "p = argparse.ArgumentParser()\ng = p.add_argument_group('x')\ng.add_argument('--w', dest='v', default='./w.pt')\nopen(p.parse_args().v)",
        "p = argparse.ArgumentParser()\np.add_argument('--w', default='./w.pt')\na = vars(p.parse_args())\nopen(a['w'])",
        "def options():\n    p = argparse.ArgumentParser()\n    p.add_argument('--w', default='./w.pt')\n    return p.parse_args()\n"
        "def main(o):\n    open(o.w)\nmain(options())",
        "import click\n@click.command()\n@click.option('--w', default='./w.pt')\ndef main(w):\n    open(w)\nmain()",
        "import typer\ndef main(w: str = './w.pt'):\n    open(w)\ntyper.run(main)",
        "import typer\ndef main(w: str = typer.Option('./w.pt')):\n    open(w)\ntyper.run(main)",
    ],
)  # fmt: skip
def test_an_option_is_its_default_as_far_as_nobody_gives_another(source: str) -> None:
    (use,) = reads(source)
    assert (shown(use.path), use.default, use.where.conditional) == ("./w.pt", True, False)


MEIPASS = """
def resource_path(name):
    try:
        base = sys._MEIPASS
    except Exception:
        base = os.path.abspath(".")
    return os.path.join(base, name)
open(resource_path("a.txt"))
"""
GETATTR = """
def resource_path(name):
    base = getattr(sys, "_MEIPASS", os.path.abspath(os.path.dirname(__file__)))
    return os.path.join(base, name)
open(resource_path("a.txt"))
"""
FROZEN = """
if getattr(sys, "frozen", False):
    base = os.path.dirname(sys.executable)
else:
    base = os.path.dirname(os.path.abspath(__file__))
open(os.path.join(base, "a.txt"))
"""
HAS = FROZEN.replace('getattr(sys, "frozen", False)', 'hasattr(sys, "_MEIPASS")').replace(
    "os.path.dirname(sys.executable)", "sys._MEIPASS"
)
COMPILED = """
if "__compiled__" in globals():
    base = __compiled__.containing_dir
else:
    base = os.path.dirname(__file__)
open(os.path.join(base, "a.txt"))
"""
RETURNED = """
def resource_path(name):
    try:
        return os.path.join(sys._MEIPASS, name)
    except AttributeError:
        return os.path.join(os.path.dirname(__file__), name)
open(resource_path("a.txt"))
"""


@pytest.mark.parametrize(
    ("source", "nuitka", "pyinstaller", "cx_freeze"),
    [
        (MEIPASS, "./a.txt", "<prefix>/a.txt", "./a.txt"),
        (GETATTR, "<here>/a.txt", "<prefix>/a.txt", "<here>/a.txt"),
        (FROZEN, "<here>/a.txt", "<program>/a.txt", "<program>/a.txt"),
        (HAS, "<here>/a.txt", "<prefix>/a.txt", "<here>/a.txt"),
        (COMPILED, "<program>/a.txt", "<here>/a.txt", "<here>/a.txt"),
        (RETURNED, "<here>/a.txt", "<prefix>/a.txt", "<here>/a.txt"),
        ("open(os.path.join(os.path.dirname(sys.argv[0]), 'a.txt'))", *["<program>/a.txt"] * 3),
        ("open(Path(sys.executable).parent / 'a.txt')", *["<program>/a.txt"] * 3),
    ],
)
def test_the_freezer_decides_which_branch_runs(source: str, nuitka: str, pyinstaller: str, cx_freeze: str) -> None:
    for freezer, path in (("nuitka", nuitka), ("pyinstaller", pyinstaller), ("cx_freeze", cx_freeze)):
        (use,) = reads(source, freezer)
        assert shown(use.path) == path, freezer
        assert use.where.strength(load=True) is Strength.REQUIRED, freezer


def test_without_a_known_freezer_both_branches_may_run() -> None:
    assert set(paths(FROZEN, "")) == {"<program>/a.txt", "<here>/a.txt"}


def test_a_flask_application_has_its_folders_beside_it() -> None:
    assert set(paths("from flask import Flask\napp = Flask(__name__)")) == {"<here>/templates", "<here>/static"}
    assert "<here>/views" in paths("from flask import Flask\napp = Flask(__name__, template_folder='views')")


def test_methods_that_nothing_in_the_source_calls_are_deferred() -> None:
    (use,) = reads("class C:\n    p = 'a.txt'\n    def run(self):\n        open(self.p)\n")
    assert (shown(use.path), use.where.deferred, use.where.function) == ("a.txt", True, "C.run")


def test_constants_of_a_module() -> None:
    source = b"import os\nHERE = os.path.dirname(__file__)\nclass C:\n    x = 'a'\nc = C()\ny = 3\n"
    found = {name: shown(text) for name, text in read_constants(source, NUITKA).items()}
    assert found == {"HERE": "<here>", "C.x": "a", "c.x": "a"}
    assert read_constants(b"def (", NUITKA) == {}
    assert read_constants(b"\0", NUITKA) == {}


@pytest.mark.parametrize(
    ("source", "own", "expected"),
    [
        (b"open('x')", True, True),
        (b"open('x')", False, False),
        (b"open(os.path.join(os.path.dirname(__file__), 'x'))", False, True),
        (b"pkgutil.get_data('x', 'y')", False, True),
        (b"QIcon('x')", True, True),
        (b"x = 1", True, False),
    ],
)
def test_which_sources_are_worth_evaluating(source: bytes, own: bool, expected: bool) -> None:
    assert may_read(source, own=own) is expected


def test_own_sources_are_told_by_their_folder() -> None:
    target = SourceTarget((3, 11), own=("/p",), not_own=("/p/main.dist",))
    rows = ("/p/a.py", "/p/b/c.py", "/p/main.dist/x.py", "/p/.venv/Lib/site-packages/x.py", "/pq/a.py", "C:\\p\\a.py")
    assert [path for path in rows if target.is_own_path(path)] == ["/p/a.py", "/p/b/c.py"]


def test_hostile_sources_give_nothing() -> None:
    deep = "x = " + "(" * 80 + ")" * 80 + "\nopen('a.txt')\n"
    loops = "class C:\n    def a(self):\n        return self.b()\n    def b(self):\n        return self.a()\n    @property\n    def p(self):\n        return self.p\nopen(C().a())\nopen(C().p)\nclass D(D):\n    pass\nD().x\n"
    many = "\n".join(f"class C{n}(C{n - 1}):\n    x{n} = '{n}'" for n in range(1, 400)) + "\nopen(C399().x1)\n"
    for source in (deep, loops, many):
        read_source(source.encode(), NUITKA, is_program=True)


# --- the table ---


def test_every_row_can_be_used() -> None:
    calls = file_calls()
    assert len(calls) > 350
    for name, call in calls.items():
        assert call.arguments or name.startswith("path."), name
        assert not call.resource or len(call.arguments) in (1, 2), name
    assert calls["builtins.open"].mode is not None
    assert {name for name in calls if name.endswith("QtGui.QIcon")} == {
        f"{qt}.QtGui.QIcon" for qt in ("PyQt5", "PyQt6", "PySide2", "PySide6", "qtpy")
    }


@pytest.mark.parametrize("row", ["a\t0:x\treads\t-", "a\t0:x\teats\t-\ts", "a\tx\treads\t-\ts"])
def test_a_damaged_row_is_refused(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_readers, "read_rows", lambda _name: [row.split("\t")])
    file_calls.cache_clear()
    try:
        with pytest.raises(DataFileError):
            file_calls()
    finally:
        file_calls.cache_clear()


def test_a_path_that_a_caller_gives_is_not_a_pattern_besides() -> None:
    source = """
        class Settings:
            folder = "assets"
            def __init__(self, name="settings.json"):
                self.path = os.path.join(self.folder, name)
            def load(self):
                with open(self.path) as f:
                    return json.load(f)
        Settings().load()
    """
    assert paths(source) == ["assets/settings.json"]
    assert paths(source.replace("Settings().load()", "")) == ["assets/settings.json"]
    assert paths("def load(name):\n    return open(os.path.join('assets', name))") == ["assets/*"]
