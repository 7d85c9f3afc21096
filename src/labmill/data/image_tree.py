"""Which images a folder holds, of which class and part. Pure Python, opens no image.

A folder has a folder per class, or `train/`, optionally `validation/` and `test/` with a
folder per class in each. What is not used is counted or refused, never dropped silently.
"""

import errno
import hashlib
import json
import os
import re
import stat
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from labmill.core.errors import LabmillError
from labmill.core.files import atomic_write, file_digest, no_folder

SUFFIXES = (".png", ".jpg", ".jpeg")
# Names of folders, in lower case, that hold a part of a dataset.
PART_OF = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
LIKE_A_PART = re.compile("train|trn|test|tst|val")
IGNORED = ("__MACOSX",)  # of zip files from a Mac: holds no images
LISTED = 20  # names in one message
SETTLED_NS = 2_000_000_000  # a file changed later than that before may change again
DIGESTS = Path("data/image_digests")


@dataclass
class ImageTree:
    """The images of a folder.

    Attributes:
        parts: part -> images with their labels, class by class, sorted by name.
        left_out: files that are no images, by ending; folders that are ignored.
        notes: sentences about what was taken for what, for the log.
        lost: images that cannot be read: links that lead nowhere and the like.
    """

    root: Path  # the folder
    classes: tuple[str, ...] = ()  # names of the class folders, sorted
    parts: dict[str, list[tuple[Path, int]]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    stats: dict[Path, os.stat_result] = field(default_factory=dict)

    def counts(self) -> dict[str, list[int]]:
        """Return the images per class of each part."""
        found = Counter((p, label) for p, own in self.parts.items() for _, label in own)
        return {
            part: [found[part, label] for label in range(len(self.classes))]
            for part in self.parts
        }

    def __str__(self) -> str:
        """Return the number of images of each class."""
        each = [sum(own) for own in zip(*self.counts().values(), strict=True)]
        classes = ", ".join(map("{} {}".format, self.classes, each))
        lost = "".join(f"\n  skipped: {one}" for one in self.lost[:LISTED])
        if (more := len(self.lost) - LISTED) > 0:
            lost += f"\n  and {more} more"
        return f"{self.root}: {sum(each)} images ({classes}){lost}"

    def digest(self, notes: Path = DIGESTS) -> str:
        """Return the SHA-256 over names and contents of the images.

        Contents are read when size, times or inode of a file are not those noted when
        it was last read, so that a workflow can call this each time it starts.
        """
        known = FileDigests(self.root, notes)
        total = hashlib.sha256(json.dumps(self.classes).encode())
        start = len(str(self.root)) + 1
        for part, images in self.parts.items():
            for path, label in images:
                name = str(path)[start:]
                own = b"%s\0%d\0%s\0" % (part.encode(), label, os.fsencode(name))
                total.update(own)
                total.update(known.digest(path, name, self.stats[path]).encode())
        known.save()
        return total.hexdigest()


def find_images(path: str, broken: str | None = None) -> ImageTree:
    """Return the images of a folder, by part and class.

    `broken`: `skip` leaves out links that lead nowhere and the like.
    """
    if not path.strip():
        raise LabmillError("image_folder: path is empty; expected a folder of images")
    try:
        tree = ImageTree(Path(path).expanduser())
        collect(tree)
    except OSError as error:
        named = shown(error.filename or path)
        raise LabmillError(f"image_folder: {named}: {error.strerror}") from None
    except (RuntimeError, ValueError) as error:
        raise LabmillError(f"image_folder: path {path!r}: {error}") from None
    if broken != "skip":
        refuse(tree, tree.lost)
    return tree


def class_folders(path: str) -> tuple[str, ...]:
    """Return the classes of a folder of images; nothing where `find_images` refuses it."""
    try:
        root = Path(path).expanduser()
        folders = subfolders(root)
        if parts := parts_of(root, folders):
            folders = subfolders(root / parts["train"])
    except (LabmillError, OSError, RuntimeError, ValueError):
        return ()
    return folders if len(folders) > 1 else ()


def refuse(tree: ImageTree, lost: Sequence[str]) -> None:
    """Raise LabmillError if files are lost, naming all, or the first of many."""
    if lost:
        more = len(lost) - LISTED
        lines = [*lost[:LISTED], *([f"and {more} more"] if more > 0 else [])]
        about = f"image_folder {shown(tree.root)}: {len(lost)} file(s) cannot be read"
        advice = "mend them, or set `broken: skip`:"
        raise LabmillError("\n  ".join([f"{about}; {advice}", *lines]))


def collect(tree: ImageTree) -> None:
    """Fill `tree`. Raises LabmillError or OSError."""
    if not tree.root.is_dir():
        raise LabmillError(f"image_folder: path {no_folder(tree.root)}")
    folders = subfolders(tree.root, tree)
    parts = parts_of(tree.root, folders)
    if parts:
        named = ", ".join(f"{name}/ as {part}" for part, name in parts.items())
        tree.notes.append(f"{shown(tree.root)}: parts: {named}")
    own = {
        part: subfolders(tree.root / name, tree) for part, name in parts.items()
    } or {"train": folders}
    tree.classes = own["train"]
    check_classes(tree, parts, own)
    for part in own:
        folder = tree.root / parts.get(part, ".")
        tree.parts[part] = []
        first: dict[tuple[int, int], tuple[Path, int]] = {}
        for label, name in enumerate(tree.classes):
            images = sorted(walk(folder / name, tree, set()), key=os.fsencode)
            tree.parts[part] += [(image, label) for image in images]
            if not images and not tree.lost:
                raise LabmillError(
                    f"image_folder {shown(folder / name)}: no images; allowed: "
                    f"{', '.join(SUFFIXES)}"
                )
            for image in images:
                key = inode(tree.stats[image])
                twin, of_class = first.setdefault(key, (image, label))
                same = f"{shown(image)}: the same file as {shown(twin)}"
                if of_class != label:
                    raise LabmillError(f"image_folder: {same}, of another class")
                if twin is not image:
                    tree.notes.append(same)


def parts_of(root: Path, folders: Sequence[str]) -> dict[str, str]:
    """Return part -> folder name, in the order train, validation, test; {} if none.

    A folder named like a part is one if it holds folders; a class may have that name.
    """
    named = [name for name in folders if name.strip().lower() in PART_OF]
    holding = [name for name in named if subfolders(root / name)]
    if not holding:
        if len(named) >= 2 or named == list(folders) != []:
            raise LabmillError(
                f"image_folder {shown(root)}: {listed(named)} are named like parts of "
                "a dataset and hold no class folders; expected a folder per class in "
                "each"
            )
        alike = [name for name in folders if LIKE_A_PART.search(name.lower())]
        if len(alike) >= 2 and alike == list(folders):
            classes = {subfolders(root / name) for name in alike}
            if len(classes) == 1 and len(*classes) >= 2:
                raise LabmillError(
                    f"image_folder {shown(root)}: {listed(alike)} hold the same class "
                    "folders, as parts do; name them train/, validation/ and test/"
                )
        return {}
    others = [name for name in folders if name not in holding]
    if others:
        raise LabmillError(
            f"image_folder {shown(root)}: found {listed(others)} next to "
            f"{listed(holding)}; expected only train/, validation/ and test/, each "
            "with a folder per class"
        )
    parts: dict[str, str] = {}
    for part in ("train", "validation", "test"):
        of_part = [name for name in holding if PART_OF[name.strip().lower()] == part]
        if len(of_part) > 1:
            raise LabmillError(
                f"image_folder {shown(root)}: {listed(of_part)} are all named like the "
                f"{part} part; keep one of them"
            )
        if of_part:
            parts[part] = of_part[0]
    if "train" not in parts:
        raise LabmillError(
            f"image_folder {shown(root)}: found {listed(holding)} and no train/"
        )
    return parts


def check_classes(
    tree: ImageTree, parts: dict[str, str], own: dict[str, tuple[str, ...]]
) -> None:
    """Check that the class folders can be classes, and are the same in each part."""
    for name in tree.classes:
        if not name.strip() or any(
            unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name
        ):
            raise LabmillError(
                f"image_folder {shown(tree.root)}: the folder {name!a} has no "
                "name that can be shown as a class; allowed: UTF-8 without control "
                "characters"
            )
    if len(tree.classes) < 2:
        raise LabmillError(
            f"image_folder {shown(tree.root / parts.get('train', '.'))}: found the "
            f"folders {list(tree.classes)}; expected a folder per class, at least two, "
            "or train/ and test/ with those"
        )
    for part, names in own.items():
        if odd := sorted({*tree.classes} ^ {*names}):
            raise LabmillError(
                f"image_folder {shown(tree.root)}: {parts['train']}/ and "
                f"{parts[part]}/ must hold the same class folders; found in one only: "
                f"{listed(odd)}"
            )
    for part in own:
        for name in tree.classes:
            folder = tree.root / parts.get(part, ".") / name
            inside = subfolders(folder)
            if named := [n for n in inside if n.strip().lower() in PART_OF]:
                raise LabmillError(
                    f"image_folder {shown(folder)}: {listed(named)} inside of a class "
                    f"is named like a part; expected {named[0]}/{name}"
                )


def subfolders(folder: Path, tree: ImageTree | None = None) -> tuple[str, ...]:
    """Return the names of the folders in a folder, sorted, hidden ones left out.

    Files and ignored folders are counted in `tree`.
    """
    names = []
    for entry in entries(folder):
        if entry.name.startswith("."):
            continue
        if entry.name in IGNORED:
            if tree:
                tree.left_out[f"{entry.name}/"] += 1
        elif (found := reached(entry, tree)) and stat.S_ISDIR(found.st_mode):
            names.append(entry.name)
        elif found and tree:
            leave_out(Path(entry.path), tree, outside=True)
    return tuple(names)


def reached(
    entry: os.DirEntry[str], tree: ImageTree | None = None
) -> os.stat_result | None:
    """Return what a name leads to; None if nowhere, which is noted in `tree`."""
    try:
        return entry.stat()
    except OSError as error:
        nowhere = error.errno in (errno.ENOENT, errno.ELOOP)
        said = "a link that leads nowhere" if nowhere else error.strerror
        if tree:
            tree.lost.append(f"{shown(entry.path)}: {said}")
        return None


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds, sorted by name."""
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: os.fsencode(entry.name))


def inode(found: os.stat_result) -> tuple[int, int]:
    """Return what two names of one file or folder have in common."""
    return found.st_dev, found.st_ino


def walk(folder: Path, tree: ImageTree, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the images of a class at any depth, through links, hidden ones left out."""
    if (here := inode(folder.stat())) in seen:
        tree.notes.append(f"{shown(folder)}: a link to a folder that is read already")
        return
    seen.add(here)
    for entry in entries(folder):
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.name in IGNORED:
            tree.left_out[f"{entry.name}/"] += 1
        elif not (found := reached(entry, tree)):
            continue
        elif stat.S_ISDIR(found.st_mode):
            yield from walk(path, tree, seen)
        elif not entry.name.lower().endswith(SUFFIXES):
            leave_out(path, tree)
        elif not stat.S_ISREG(found.st_mode):
            tree.lost.append(f"{shown(path)}: not a regular file")
        else:
            tree.stats[path] = found
            yield path


def leave_out(path: Path, tree: ImageTree, *, outside: bool = False) -> None:
    """Count a file that is no image, or an image outside of all class folders."""
    ending = shown(path.suffix.lower()) or "without an ending"
    if outside and path.suffix.lower() in SUFFIXES:
        ending += " outside of class folders"
    tree.left_out[ending] += 1


def shown(path: Path | str | bytes) -> str:
    """Return a path as text that can be printed, whatever its bytes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def listed(names: Sequence[str]) -> str:
    """Return names for a message, the first of many."""
    more = len(names) - LISTED
    text = ", ".join(shown(name) for name in names[:LISTED])
    return f"{text} and {more} more" if more > 0 else text


class FileDigests:
    """SHA-256 of files, noted in a file by size, times and inode."""

    def __init__(self, root: Path, notes: Path) -> None:
        key = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:16]
        self.path = notes / f"{key}.json"
        self.noted: dict[str, list[int | str]] = {}
        with suppress(OSError, ValueError, TypeError):
            self.noted = dict(json.loads(self.path.read_text(encoding="utf-8")))
        self.current: dict[str, list[int | str]] = {}

    def digest(self, path: Path, name: str, found: os.stat_result) -> str:
        """Return the digest of one file, read only if it may have changed."""
        times = (found.st_mtime_ns, found.st_ctime_ns)
        identity: list[int | str] = [found.st_size, *times, found.st_ino]
        note = self.noted.get(name)
        if isinstance(note, list) and note[:-1] == identity:
            digest = str(note[-1])
        else:
            digest = file_digest(path)
        if max(times) < time.time_ns() - SETTLED_NS:
            self.current[name] = [*identity, digest]
        return digest

    def save(self) -> None:
        """Write the notes; do nothing where that is not possible."""
        if self.current != self.noted:
            with suppress(LabmillError, OSError), atomic_write(self.path) as file:
                json.dump(self.current, file)
