"""Source trees from which code imports at run time: the folder goes on the search path, one source of it is imported,
and a function of that is called by its name.
"""

from __future__ import annotations

from depfix.closure.data import need_of, place_of
from depfix.closure.world import World
from depfix.dist.tree import FileEntry, file_entry
from depfix.imports.finder import DiskFolders
from depfix.imports.uses import DataUse
from depfix.model.names import join


def open_tree(world: World, module: str, use: DataUse) -> tuple[str, FileEntry] | None:
    """Let modules be found in the folder that some code names; return (name, file) of the source that it starts with.

    It is the folder of the dist, or the one of the project that would be copied there; None if neither has that source.
    """
    place = place_of(world, module, use)
    if place is None or not place.exact:
        return None
    entry = world.tree.file(join(place.path, use.starts))
    if entry is not None:
        world.walker.add_folder(world.tree.spelled(place.path))
    else:
        found = need_of(world, place, folder=True).found
        source = next((row for row in found.files if row[1] == join(place.tail.removeprefix("./"), use.starts)), None)
        if source is None:
            return None
        path, inner = source
        entry = file_entry(join(place.path, use.starts), path)
        root = path[: len(path) - len(inner)].rstrip("/\\")
        world.walker.add_finder(world.finder_over(DiskFolders(root), inner.rpartition("/")[0]))
    name = f"<{entry.path}>"
    world.walker.add_script(name, entry)
    world.starts.add(name)
    return name, entry
