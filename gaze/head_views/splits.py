"""Which people's files are trained on, validated on and tested on; test sets are never trained on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gaze.datasets.faults import DatasetError, EmptySplitError
from gaze.head_views.layout import KINDS, SPLIT_FILE, SPLITS, XGAZE_TEST, kind_of, number_of, person_of

MADE = "tools/prepare_xgaze.py writes one"
SHOWN = 5


@dataclass(frozen=True)
class HeadFiles:
    """The files of a data set by person, and who is in which split."""

    root: Path
    kind: str
    files: Mapping[str, Path]
    people: Mapping[str, Sequence[str]]  # by split

    def of(self, split: str) -> dict[str, Path]:
        """Files of a split by person, in the order of its list.

        Raises:
            DatasetError: files are missing, nobody is in it, or it is to be trained on and made for tests.
        """
        if split not in SPLITS:
            raise ValueError(f"dataset.split is {split!r}; expected one of {', '.join(SPLITS)}")
        people = self.people[split]
        title = f"the {split} split of {self.root}"
        if split != "test":
            _refuse_tests(title, self.kind, self.root, people, self.files)
        if not people:
            there = ", ".join(f"{name} {len(who)}" for name, who in self.people.items())
            hold = "; hold frames of training people out with held_frames" if split == "val" else ""
            raise EmptySplitError(f"{title} has nobody; its people: {there}{hold}, or name some in {SPLIT_FILE}")
        missing = [person for person in people if person not in self.files]
        if missing:
            told = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
            raise DatasetError(
                f"{self.root / SPLIT_FILE} names files in {split} that are not there: {told}; {self.root} has "
                f"{len(self.files)}; unpack them all, or take their names off the list"
            )
        return {person: self.files[person] for person in people}


def head_files(root: str | Path, kind: str) -> HeadFiles:
    """The files below a folder, and the people of each split.

    Sets that are made for tests need no list: everybody in them is tested on.

    Args:
        root: holds *.h5, in folders or not, and train_test_split.json.
        kind: a data set of `layout.KINDS`.

    Raises:
        DatasetError: there are no files, no list or no good one, or somebody is in two splits.
    """
    if kind not in KINDS:
        raise ValueError(f"dataset.kind is {kind!r}; expected one of {', '.join(KINDS)}")
    root = Path(root)
    files = _files(root, kind)
    list_file = root / SPLIT_FILE
    if not list_file.is_file():
        if not KINDS[kind].tests_only:
            raise DatasetError(f"{list_file} is missing; expected lists of files train, val and test; {MADE}")
        return HeadFiles(root, kind, files, {"train": [], "val": [], "test": list(files)})
    people = _people(list_file, kind)
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = [person for person in people[one] if person in set(people[other])]
        if shared:
            raise DatasetError(
                f"{list_file}: {', '.join(shared[:SHOWN])} in both {one} and {other}; expected each person in one split, or "
                "figures are of people that were trained on; take them off one list"
            )
    return HeadFiles(root, kind, files, people)


def chosen(files: Mapping[str, Path], subjects: Sequence[str | int] | None, title: str) -> dict[str, Path]:
    """The files of those who are named, by name or number, in the order of the split; of everybody for None.

    Raises:
        DatasetError: somebody is not in the split.
    """
    if subjects is None:
        return dict(files)
    named = [str(subject) for subject in subjects]
    found = {name: [person for person in files if _is(person, name)] for name in named}
    unknown = [name for name, people in found.items() if not people]
    if unknown or not named:
        there = ", ".join(list(files)[:SHOWN]) + (", ..." if len(files) > SHOWN else "")
        raise DatasetError(
            f"{title} has nobody called {', '.join(unknown) or 'nothing'}; expected of subjects some of {there}"
        )
    wanted = {person for people in found.values() for person in people}
    return {person: path for person, path in files.items() if person in wanted}


def _is(person: str, name: str) -> bool:
    number = number_of(person)
    return name == person or bool(name.isdigit() and number and int(name) == int(number))


def tested_only(kind: str, people: Sequence[str]) -> list[str]:
    """Those of these people whom only tests may see."""
    if KINDS[kind].tests_only:
        return list(people)
    return [person for person in people if kind == "xgaze" and number_of(person) in XGAZE_TEST]


def _files(root: Path, kind: str) -> dict[str, Path]:
    if not root.is_dir():
        raise DatasetError(
            f"{root} is not a folder; expected one with *.h5 files; correct root, or prepare the data there"
        )
    every = sorted(path for path in root.rglob("*.h5") if path.is_file())
    own = [path for path in every if kind_of(path.stem) in (None, kind)]
    if not own:
        others = sorted({KINDS[other].title for path in every if (other := kind_of(path.stem))})
        there = f"files of {', '.join(others)}; set kind to theirs" if others else "no *.h5 file; unpack them there"
        raise DatasetError(f"{root} holds {there}; expected {KINDS[kind].prefix}subject0000.h5 or subject0000.h5")
    files: dict[str, Path] = {}
    for path in own:
        twin = files.setdefault(person_of(path.stem), path)
        if twin != path:
            raise DatasetError(f"{path} and {twin} are of one person; expected one file each; move one elsewhere")
    return files


def _people(path: Path, kind: str) -> dict[str, list[str]]:
    try:
        told = json.loads(path.read_text())
        # The authors' own list has a test split without labels beside the one that is evaluated on
        names = told | {"test": told.get("test_person_specific", told.get("test", []))}
        stems = {split: [Path(str(name)).name.removesuffix(".h5") for name in names.get(split, [])] for split in SPLITS}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path} can't be used ({error}); expected lists train, val and test of files; {MADE}"
        ) from error
    for split, listed in stems.items():
        wrong = [stem for stem in listed if kind_of(stem) not in (None, kind)]
        if wrong:
            title = KINDS[kind_of(wrong[0]) or kind].title
            tests = split != "test" and KINDS[kind_of(wrong[0]) or kind].tests_only
            do = "test on it with a data set of its own" if tests else "set kind to theirs"
            raise DatasetError(
                f"{path}: {split} lists {wrong[0]}.h5 of {title}; expected files of {KINDS[kind].title}; {do}"
            )
    return {split: [person_of(stem) for stem in dict.fromkeys(listed)] for split, listed in stems.items()}


def _refuse_tests(title: str, kind: str, root: Path, people: Sequence[str], files: Mapping[str, Path]) -> None:
    """Refuse to train on, or to choose a model by, what its figures will be of."""
    if KINDS[kind].tests_only:
        raise EmptySplitError(
            f"{title}: {KINDS[kind].title} is an evaluation set and is not trained or validated on; train with "
            "dataset=xgaze_render or dataset=heads, and evaluate on this one with split=test"
        )
    tested = tested_only(kind, people)
    if tested:
        raise DatasetError(
            f"{title} has {', '.join(tested[:SHOWN])}, {len(tested)} of the 15 people of ETH-XGaze's test set; training on "
            f"the test set is refused; move them to test in {root / SPLIT_FILE}"
        )
    if kind == "xgaze":
        for person in people:
            folders = files[person].relative_to(root).parts[:-1] if person in files else ()
            named = [
                folder for folder in (root.name, *folders) if re.search(r"(?:^|_)test(?:$|_person_specific)", folder)
            ]
            if named:
                raise DatasetError(
                    f"{title}: {files[person]} lies in a folder called {named[0]}; training on the test set is refused; "
                    "point root to the training set, or move the file there if it is none of the test set's"
                )
