"""What sources ask of the metadata of installed distributions, and whether they go on without."""

from __future__ import annotations

import textwrap

import pytest

from depfix.imports.reader import read_source
from depfix.imports.uses import MetadataUse, SourceTarget
from depfix.imports.values import Hole, Own, own_name

SIGNS = {
    Own.NAME: "<name>",
    Own.PACKAGE: "<package>",
    Own.TOP: "<top>",
    Hole.PARAMETER: "{parameter}",
    Hole.ANY: "{any}",
}


def asked(source: str, *, is_package: bool = False) -> list[MetadataUse]:
    facts = read_source(textwrap.dedent(source).encode(), SourceTarget((3, 10)), is_package=is_package)
    assert not facts.error
    return [use for use in facts.uses if isinstance(use, MetadataUse)]


def shown(use: MetadataUse) -> str:
    """Return "distribution [group] name?" with a question mark if the program goes on without."""
    name = "".join(part if isinstance(part, str) else SIGNS[part] for part in use.distribution.parts)  # type: ignore[index]
    group = f"[{use.group}]" if use.group else ""
    return " ".join(filter(None, (name, group, use.name))) + "?" * use.guarded


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import importlib.metadata\nimportlib.metadata.version('a')", ["a"]),
        ("from importlib.metadata import version\n__version__ = version('a-b')", ["a-b"]),
        ("from importlib import metadata as md\nmd.distribution('a').version", ["a"]),
        ("import importlib_metadata\nimportlib_metadata.requires('a')", ["a"]),
        ("import importlib_metadata as im\nim.metadata('a')['Name']", ["a"]),
        ("from importlib.metadata import files\nfiles('a')", ["a"]),
        ("from importlib.metadata import Distribution\nDistribution.from_name('a')", ["a"]),
        ("from importlib.metadata import version as v\nname = 'a'\nx = v(distribution_name=name)", ["a"]),
        ("try:\n    from importlib import metadata\nexcept ImportError:\n    import importlib_metadata as metadata\n"
         "x = metadata.version('a')", ["a"]),
        ("import sys\nif sys.version_info >= (3, 8):\n    from importlib.metadata import version\nelse:\n"
         "    from importlib_metadata import version\nversion('a')", ["a"]),
        ("from importlib.metadata import version\ndef get(name):\n    return version(name)\nx = get('a')", ["a"]),
        ("from importlib.metadata import version\ndef get(name):\n    return version(name)", ["{parameter}"]),
        ("from importlib.metadata import version\nfor name in ('a', 'b'):\n    version(name)", ["a", "b"]),
        ("from importlib.metadata import version\nv = {n: version(n) for n in ['a', 'b']}", ["a", "b"]),
        ("import importlib.metadata as m\nm.version(__name__)", ["<name>"]),
        ("import importlib.metadata as m\nm.version(__package__)", ["<package>"]),
        ("import importlib.metadata as m\nm.version(__package__ or __name__)", ["<package>"]),
        ("import importlib.metadata as m\nm.version(__name__.split('.')[0])", ["<top>"]),
        ("import importlib.metadata as m\nm.version(__package__.partition('.')[0])", ["<top>"]),
        ("import importlib.metadata as m\nm.version(__name__.rpartition('.')[0])", ["<package>"]),
        ("__version__ = __import__('importlib.metadata', fromlist=['version']).version('a')", ["a"]),
        ("import importlib\nimportlib.import_module('importlib.metadata').version('a')", ["a"]),
        # pkg_resources
        ("import pkg_resources\npkg_resources.get_distribution('a').version", ["a"]),
        ("from pkg_resources import require\nrequire('a>=1.0', 'b[x]')", ["a", "b"]),
        ("import pkg_resources\npkg_resources.get_distribution(__name__)", ["<name>"]),
        ("import pkg_resources as p\np.working_set.by_key['a']", ["a"]),
        ("from pkg_resources import load_entry_point\nload_entry_point('a', 'console_scripts', 'run')",
         ["a [console_scripts] run"]),
        # No question for metadata of a distribution.
        ("import other\nother.version('a')", []),
        ("from importlib.metadata import packages_distributions\npackages_distributions()", []),
        ("import pkg_resources\npkg_resources.resource_filename('a', 'b')", []),
    ],
)  # fmt: skip
def test_a_distribution_whose_metadata_are_asked_for(source: str, expected: list[str]) -> None:
    assert [shown(use) for use in asked(source)] == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("entry_points(group='g')", ["[g]?"]),
        ("entry_points(group='g', name='n')", ["[g] n?"]),
        ("entry_points().get('g', [])", ["[g]?"]),
        ("entry_points().select(group='g')", ["[g]?"]),
        ("entry_points()['g']", ["[g]"]),
        ("try:\n    entry_points()['g']\nexcept KeyError:\n    pass", ["[g]?"]),
        ("eps = entry_points()\nfound = eps.select(group='g') if hasattr(eps, 'select') else eps.get('g')", ["[g]?"]),
        ("GROUP = 'g'\nfor one in entry_points(group=GROUP):\n    one.load()", ["[g]?"]),
        ("def load(group):\n    return entry_points(group=group)\nload('g')", ["[g]?"]),
        ("list(iter_entry_points('g'))", ["[g]?"]),
        ("list(iter_entry_points(group='g', name='n'))", ["[g] n?"]),
        ("entry_points()", []),
    ],
)
def test_a_group_of_entry_points(source: str, expected: list[str]) -> None:
    head = "from importlib.metadata import entry_points\nfrom pkg_resources import iter_entry_points\n"
    assert [shown(use) for use in asked(head + source)] == expected


@pytest.mark.parametrize(
    ("call", "handler", "guarded"),
    [
        ("md.version('a')", "except md.PackageNotFoundError:\n    v = '0'", True),
        ("md.version('a')", "except PackageNotFoundError:\n    v = '0'", True),
        ("md.version('a')", "except ImportError:\n    v = '0'", True),
        ("md.version('a')", "except ModuleNotFoundError:\n    v = '0'", True),
        ("md.version('a')", "except (KeyError, Exception):\n    v = '0'", True),
        ("md.version('a')", "except:\n    v = '0'", True),
        ("md.version('a')", "except KeyError:\n    v = '0'", False),
        ("md.version('a')", "except md.PackageNotFoundError:\n    raise RuntimeError('install me')", False),
        ("md.version('a')", "except md.PackageNotFoundError as e:\n    sys.exit(1)", False),
        ("md.version('a')", "except Missing:\n    v = '0'", True),
        ("pkg_resources.get_distribution('a')", "except pkg_resources.DistributionNotFound:\n    v = '0'", True),
        ("pkg_resources.get_distribution('a')", "except ImportError:\n    v = '0'", False),
        ("pkg_resources.get_distribution('a')", "except Exception:\n    v = '0'", True),
        ("pkg_resources.load_entry_point('a', 'g', 'n')", "except ImportError:\n    v = '0'", True),
    ],
)
def test_a_silent_downgrade_is_told_from_a_crash(call: str, handler: str, guarded: bool) -> None:
    head = "import sys, pkg_resources, importlib.metadata as md\nfrom importlib.metadata import PackageNotFoundError as Missing\n"
    (use,) = asked(f"{head}try:\n    v = {call}\n{handler}")
    assert use.guarded is guarded


def test_a_guard_does_not_reach_into_what_is_called_later() -> None:
    source = """
        from importlib.metadata import version
        try:
            def later():
                return version("a")
        except Exception:
            pass
        """
    (use,) = asked(source)
    assert (use.where.deferred, use.where.function, use.guarded) == (True, "later", False)


def test_suppressing_is_a_guard_too() -> None:
    source = """
        import contextlib
        from importlib import metadata
        with contextlib.suppress(metadata.PackageNotFoundError):
            metadata.version("a")
        """
    (use,) = asked(source)
    assert use.guarded


def test_own_names_are_resolved_with_the_name_of_the_module() -> None:
    source = "from importlib.metadata import version\nversion(__name__)\nversion(__name__.split('.')[0])"
    assert [own_name(use.distribution, "pkg.sub", is_package=False) for use in asked(source)] == ["pkg.sub", "pkg"]
    assert [own_name(use.distribution, "pkg.sub", is_package=True) for use in asked(source, is_package=True)] == [
        "pkg.sub",
        "pkg",
    ]
