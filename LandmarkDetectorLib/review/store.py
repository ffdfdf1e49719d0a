"""The review store: a folder of cases with their images, proposals and corrections.

::

    review-store.json             what this is, its format, its key
    index.sqlite                  may be thrown away
    cases/case-1f0c…/             one image
        case.json                 its checksum and grid
        places.jsonl              where its file lies, and where it lay before
        image.nrrd                a copy, where one was asked for
        proposal-….json           one detection; never changed
        corrections-NAME….jsonl   all that one observer has said; only ever added to

See ``docs/review-store.md``.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.bundles.bundle import Bundle
from LandmarkDetectorLib.core import Image, LandmarkDetectorError, LandmarkSet
from LandmarkDetectorLib.io import load_image
from LandmarkDetectorLib.io.copies import write_copy
from LandmarkDetectorLib.io.dicom_header import is_dicom, patient_of
from LandmarkDetectorLib.io.disk import sync_folder
from LandmarkDetectorLib.io.locks import locked
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.review import images
from LandmarkDetectorLib.review.case import CASE, CONSENSUS, PLACES, Case, anchor, check_observer
from LandmarkDetectorLib.review.consensus import consensus
from LandmarkDetectorLib.review.documents import FORMAT, read_document, write_document
from LandmarkDetectorLib.review.errors import ReviewError, disk_errors
from LandmarkDetectorLib.review.index import CaseRow, Index
from LandmarkDetectorLib.review.journal import Journal
from LandmarkDetectorLib.review.proposals import now, write_proposal
from LandmarkDetectorLib.review.state import Correction, ReviewState
from LandmarkDetectorLib.review.summary import EMPTY, summary_of

if TYPE_CHECKING:
    from LandmarkDetectorLib.review.checks import Finding
    from LandmarkDetectorLib.review.export import Exported
    from LandmarkDetectorLib.review.importing import Imported
    from LandmarkDetectorLib.review.queue import Waiting

STORE = "review-store.json"
CASES = "cases"
_README = """This folder is a review store of LandmarkDetector: images, what a detector proposed on them, and
what people said of it. All of it is text that can be read. Add to it with the software only; nothing in it is
ever written over. `landmark-detector review verify` says whether anything was damaged; index.sqlite may be
deleted and is made anew. The folder can hold paths and names that identify a patient: do not pass it on;
`landmark-detector review export` makes copies for that.
"""


class ReviewStore:
    """A review store that is there; see :meth:`create` and :meth:`open`.

    Args:
        folder: of the store.

    Raises:
        ReviewError: there is none, it is damaged, or of a newer version.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).absolute()
        if not (self.folder / STORE).is_file():
            raise ReviewError(
                f"{self.folder.name}: there is no review store in this folder; create one, or give another."
            )
        self.about = read_document(self.folder / STORE, "review store", f"The review store {self.folder.name}")
        self._key = bytes.fromhex(self.about["key"])
        self._cases: dict[str, Case] = {}
        self._turn = threading.RLock()
        self.index = Index(self.folder, self._summarise)

    @classmethod
    def create(cls, folder: str | os.PathLike[str]) -> ReviewStore:
        """Make a new store, for nobody's eyes but the owner's (mode 0700).

        Args:
            folder: is not there yet, or empty.

        Raises:
            ReviewError: something is there, or the disk refuses.
        """
        path = Path(folder).absolute()
        with disk_errors(f"The review store {path.name} cannot be made"):
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise ReviewError(f"{path.name} is there already and not empty; give another folder for the store.")
            path.mkdir(parents=True, exist_ok=True)
            os.chmod(path, 0o700)
            (path / CASES).mkdir(mode=0o700)
            (path / "README.txt").write_text(_README, encoding="utf-8")
        content = {"at": now(), "software": __version__, "key": secrets.token_hex(32)}
        write_document(path / STORE, "review store", content, f"The review store {path.name}")
        return cls(path)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> ReviewStore:
        """The store in a folder."""
        return cls(folder)

    # -- what comes in --------------------------------------------------------------------------------------------

    def add_image(
        self,
        image: Image | str | os.PathLike[str],
        *,
        copy: bool = False,
        spacing: Sequence[float] | None = None,
        series: str | None = None,
        path: str | os.PathLike[str] | None = None,
        subject: str = "",
        family: str = "",
        patient: str = "",
    ) -> str:
        """Add an image, or find the case that it is already; another place of it is noted.

        Args:
            image: a file, the folder of a DICOM series, or an image in memory.
            copy: keep voxels and grid in the store, without anything else that the file says.
            spacing: as for :func:`~LandmarkDetectorLib.io.load_image`.
            series: as there.
            path: where an image in memory came from.
            subject: whose image it is, where others of the same subject come; they stand on one side of each split. By
                default a code of the patient's number, where there is one.
            family: likewise, of related subjects.
            patient: the patient's number, of an image in memory; of DICOM files it is read. Only its code is kept.

        Returns:
            The case's id. It comes from the image and the store's key, so that it says nothing of either, is the same
            whoever adds the image, and is another one in another store.

        Raises:
            ImageError: the image cannot be read.
            ReviewError: the disk refuses.
        """
        if not isinstance(image, Image):
            path = image
            image = load_image(image, spacing=spacing, series=series)
            patient = patient or patient_of(_dicom_files(Path(path), series))
        reference = images.description(image)
        case_id = self.id_of(reference["sha256"])
        folder = self.folder / CASES / case_id
        place: dict[str, Any] = {"path": None if path is None else str(Path(path).absolute())}
        place |= {"spacing": None if spacing is None else [float(step) for step in spacing], "series": series}
        what = f"{case_id}: the image"
        with disk_errors(f"{what} cannot be stored"):
            folder.mkdir(mode=0o700, exist_ok=True)
            with locked(folder / ".adding", what, refusal=ReviewError):
                if copy and self._copy_in(folder) is None:
                    write_copy(image, folder, "image")
                if place["path"] is not None:
                    self._note_place(folder, place)
                if not (folder / CASE).exists():  # last: it makes the folder a case
                    about = {"case": case_id, "at": now(), "software": __version__, "image": reference}
                    whose = subject or (self.pseudonym("patient", patient) if patient else "")
                    about |= {"subject": whose, "family": family}
                    write_document(folder / CASE, "case", about, what)
                    sync_folder(folder.parent)
        self._say_whose(case_id, subject, family)
        return case_id

    def _say_whose(self, case_id: str, subject: str, family: str) -> None:
        """A case is written once; whoever says later whose it is must know that nobody listens."""
        about = self.case(case_id).about
        for kind, word in (("subject", subject), ("family", family)):
            if word and word != about[kind]:
                known = f"another {kind}" if about[kind] else f"no {kind}"
                notice(
                    f"{case_id}: it was stored with {known}, and stays so; what was reviewed of other images of "
                    f"this {kind} may stand on the other side of the split."
                )

    def add_proposal(
        self,
        case_id: str,
        landmarks: LandmarkSet,
        bundle: Bundle | Mapping[str, str] | None = None,
        differences: Sequence[str] = (),
    ) -> str:
        """Store what a detector said, for good.

        Args:
            case_id: of the image.
            landmarks: in LPS, in the image's unit.
            bundle: the bundle, or its ``bundle`` (name), ``version`` and ``fingerprint``; by default what
                ``landmarks.info`` says, as every detection does.
            differences: of :func:`LandmarkDetectorLib.bundles.appearance.differences`, without the image's name.

        Returns:
            The proposal's id.

        Raises:
            ReviewError: there is no such case, the landmarks do not fit it, or the disk refuses.
        """
        about: Mapping[str, str] | None
        if isinstance(bundle, Bundle):
            about = {"bundle": bundle.name, "version": bundle.version, "fingerprint": bundle.fingerprint}
        else:
            about = bundle
        case = self.case(case_id)
        return write_proposal(case.folder, case.id, case.image, landmarks, about, differences)

    def record(
        self, case_id: str, observer: str, *corrections: Correction, origin: str = "review"
    ) -> list[dict[str, Any]]:
        """Store what an observer says; when this returns, it stands on the disk.

        All corrections are looked at before the first is stored. What the observer has said already is not repeated.

        Args:
            case_id: of the image.
            observer: who says it.
            corrections: in the order in which they were made.
            origin: ``"review"``, or where else they come from.

        Returns:
            The records as they were stored, each with number, time, status and position before and after.

        Raises:
            ReviewError: one of them cannot be, or the disk refuses: none is stored.
        """
        return self.case(case_id).record(check_observer(observer), corrections, origin)

    # -- what comes out -------------------------------------------------------------------------------------------

    def case(self, case_id: str) -> Case:
        """One case.

        Raises:
            ReviewError: there is none of this id, or it is damaged.
        """
        with self._turn:
            if case_id not in self._cases:
                folder = self.folder / CASES / str(case_id)
                if Path(case_id).name != case_id or not (folder / CASE).is_file():
                    raise ReviewError(
                        f"There is no case {str(case_id)[:60]!r} in this store; take an id from its list."
                    )
                self._cases[case_id] = Case(folder)
            return self._cases[case_id]

    def state(self, case_id: str, observer: str) -> ReviewState:
        """Where an observer has left a case, or, before the first correction, the newest proposal."""
        return self.case(case_id).state(check_observer(observer))

    def states(self, case_id: str) -> dict[str, ReviewState]:
        """Where each observer who has said something has left a case."""
        case = self.case(case_id)
        return {observer: case.state(observer) for observer in case.observers()}

    def reviewed_set(self, case_id: str, observer: str = CONSENSUS) -> LandmarkSet:
        """What an observer vouches for, or what all do; see ``ReviewState.reviewed_set`` and ``consensus``."""
        if observer != CONSENSUS:
            return self.state(case_id, observer).reviewed_set()
        return consensus(case_id, self.case(case_id).unit, self.states(case_id), self.labels(case_id))

    def labels(self, case_id: str) -> list[str]:
        """Labels of all landmarks of a case: of its proposals in order, then of those that people added."""
        case = self.case(case_id)
        labels = dict.fromkeys(label for one in case.proposals() for label in one.landmarks.labels)
        for state in self.states(case_id).values():
            labels.update(dict.fromkeys(state.entries))
        return list(labels)

    def cases(self) -> list[CaseRow]:
        """All cases with what is reviewed and what waits, the oldest first."""
        return self.index.rows()

    def image_path(self, case_id: str) -> tuple[Path, dict[str, Any]] | None:
        """Where the image of a case lies, the copy first, and how it is read; ``None`` where it is nowhere."""
        case = self.case(case_id)
        copy = self._copy_in(case.folder)
        if copy is not None:
            return copy, {}
        for place in reversed(self.places(case.folder).records()):
            if os.path.exists(place["path"]):  # false, too, where one may not look
                return Path(place["path"]), place
        return None

    def image(self, case_id: str) -> Image:
        """The image of a case, called by the case's id, when it is still the one that was reviewed.

        Raises:
            ImageError: it is not there, cannot be read, or was changed.
        """
        case = self.case(case_id)
        path, place = self.image_path(case_id) or (case.folder / "image", {})
        return images.load(path, case.image, place, case.id)

    def places(self, folder: Path) -> Journal:
        """Where the image of the case in a folder has lain, the last one last."""
        return Journal(folder / PLACES, anchor(folder.name, PLACES), f"{folder.name}: the place of the image")

    def rebuild_index(self) -> int:
        """Throw the index away and make it anew from the files; returns the number of cases."""
        with disk_errors("The index cannot be removed"):
            self.index.remove()
        return len(self.index.refresh())

    def verify(self, images: bool = False, progress: Callable[[str, float], None] | None = None) -> list[Finding]:
        """What is damaged, missing or worth knowing; see :func:`~LandmarkDetectorLib.review.checks.verify`."""
        from LandmarkDetectorLib.review.checks import verify

        return verify(self, images, progress)

    def import_annotations(
        self, observer: str, source: str | os.PathLike[str], image: str | os.PathLike[str] | None = None, **options: Any
    ) -> Imported:
        """Annotations that are there already; see :func:`~LandmarkDetectorLib.review.importing.import_annotations`."""
        from LandmarkDetectorLib.review.importing import import_annotations

        return import_annotations(self, observer, source, image, **options)

    def export_dataset(self, folder: str | os.PathLike[str], **options: Any) -> Exported:
        """The reviewed landmarks as training reads them; see :func:`~LandmarkDetectorLib.review.export.export`."""
        from LandmarkDetectorLib.review.export import export

        return export(self, folder, "dataset", **options)

    def export_monai(self, folder: str | os.PathLike[str], **options: Any) -> Exported:
        """The same as a MONAI datalist."""
        from LandmarkDetectorLib.review.export import export

        return export(self, folder, "monai", **options)

    def export_bids(self, folder: str | os.PathLike[str], **options: Any) -> Exported:
        """The same in folders like those of BIDS."""
        from LandmarkDetectorLib.review.export import export

        return export(self, folder, "bids", **options)

    def next_cases(self, observer: str | None = None, limit: int | None = None) -> list[Waiting]:
        """Which cases to review next, and why; see :func:`~LandmarkDetectorLib.review.queue.next_cases`."""
        from LandmarkDetectorLib.review.queue import next_cases

        return next_cases(self.index.summaries(), None if observer is None else check_observer(observer), limit)

    def id_of(self, sha256: str) -> str:
        """What the case of an image of this checksum is called, whether it is here or not."""
        return f"case-{self._keyed(sha256)}"

    def pseudonym(self, kind: str, name: str) -> str:
        """What a name is replaced by in exports: the same in each of this store, and another one in another store."""
        return f"{kind}-{self._keyed(f'{kind}: {name}')[:8]}"

    # -- how it is done -------------------------------------------------------------------------------------------

    def _keyed(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8"), hashlib.sha256).hexdigest()[:12]

    def _copy_in(self, folder: Path) -> Path | None:
        return next(iter(sorted(folder.glob("image.*"))), None)

    def _note_place(self, folder: Path, place: dict[str, Any]) -> None:
        def news(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
            last = {key: records[-1].get(key) for key in place} if records else None
            return [] if last == place else [{"format": FORMAT, "at": now(), **place}]

        self.places(folder).append(news)

    def _summarise(self, case_id: str) -> Mapping[str, Any]:
        with suppress(LandmarkDetectorError, OSError):
            return summary_of(Case(self.folder / CASES / case_id))  # not kept: there may be thousands
        return EMPTY


def _dicom_files(path: Path, series: str | None) -> list[Path]:
    """The DICOM files that an image was read from; empty where it was read from something else."""
    if not path.is_dir():
        return [path] if is_dicom(path) else []
    from LandmarkDetectorLib.io.dicom_source import series_files

    return series_files(path, series)
