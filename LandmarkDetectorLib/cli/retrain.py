"""``landmark-detector retrain`` and ``promote``: corrections in, a candidate out, and whether it takes over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from LandmarkDetectorLib.cli.console import Steps, print_json, results, say
from LandmarkDetectorLib.cli.figures import write_json
from LandmarkDetectorLib.cli.interrupt import first_interrupt_asks
from LandmarkDetectorLib.cli.options import BundleOption, DeviceOption, JsonOption
from LandmarkDetectorLib.cli.outputs import check_report_can_be_written
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.core.errors import Cancelled, LandmarkDetectorError

if TYPE_CHECKING:
    from LandmarkDetectorLib.review.promote import Promotion

PAGE, FIGURES = "comparison.html", "comparison.json"

StoreOption = Annotated[
    Path, typer.Option(help="Folder of a review store.", exists=True, file_okay=False, metavar="STORE")
]
OriginalOption = Annotated[
    Path | None,
    typer.Option(
        help="The data that the bundle was trained on, if at hand.", exists=True, file_okay=False, metavar="DIR"
    ),
]
ObserverOption = Annotated[
    str, typer.Option(help="Whose landmarks count; by default what all observers say together.", metavar="NAME")
]
BecauseOption = Annotated[
    str, typer.Option(help="Promote it whatever the comparison says, and record why.", metavar="REASON")
]
ByOption = Annotated[str, typer.Option(help="Who does so; it is recorded in the card.", metavar="NAME")]
PageOption = Annotated[
    Path | None, typer.Option("--html", help="Where the page goes; by default beside the candidate.", metavar="FILE")
]


def retrain(
    bundle: BundleOption,
    store: StoreOption,
    output: Annotated[
        Path, typer.Option(help="Folder for the run: checkpoints, the candidate.", metavar="DIR", file_okay=False)
    ],
    data: OriginalOption = None,
    minutes: Annotated[float, typer.Option(help="How long the training may take.", min=0.01)] = 20.0,
    name: Annotated[str | None, typer.Option(help="What the new bundle is called.", metavar="NAME")] = None,
    observer: ObserverOption = "consensus",
    by: ByOption = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    promote_it: Annotated[
        bool, typer.Option("--promote", help="Compare it afterwards, and put it in use if it is not worse.")
    ] = False,
    because: BecauseOption = "",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Train a bundle further on what people vouch for in a review store.

    Only confirmed, corrected and absent landmarks train; one case in five is locked and never does. With --data the
    original cases are rehearsed. The new bundle is a candidate: promote compares it with the one in use. Ctrl-C stops
    after a checkpoint; --resume goes on from it.
    """
    from LandmarkDetectorLib.bundles.versions import in_use
    from LandmarkDetectorLib.review.retrain import retrain as run

    if promote_it:
        check_report_can_be_written("leave --promote out")
    with Steps() as steps, first_interrupt_asks() as asked:
        done = run(
            bundle,
            store,
            output,
            data=data,
            minutes=minutes,
            name=name,
            observer=observer,
            by=by,
            resume=resume,
            device=device,
            progress=steps,
            cancelled=asked.is_set,
        )
    for notice in done.notices:
        say(f"Note: {notice}")
    new, plan = done.bundle, done.tuned.plan
    about: dict[str, Any] = {
        "name": new.name,
        "version": new.version,
        "fingerprint": new.fingerprint,
        "folder": str(new.folder),
        "corrections": new.card.lineage[0].corrections,
        "cases": plan.reviewed,
        "rehearsed": plan.rehearsed,
        "locked": new.card.lineage[0].locked,
        "steps": dict(plan.steps),
        "notices": list(done.notices),
    }
    promotion = None
    if promote_it:
        # The bundle in use counts where there is one, and else the parent.
        parent = done.parent if in_use(new.name) is None else None
        how: dict[str, Any] = {"because": because, "by": by, "observer": observer, "device": device}
        promotion = _promoted(new.folder, store, against=parent, data=data, **how)
        about["comparison"] = promotion.to_json()
    if as_json:
        print_json(about)
    else:
        what = f"{counted(about['corrections'], 'landmark')} of {counted(plan.reviewed, 'case')}"
        words = f"Candidate {new.name} {new.version}, {what}"
        results.print(f"{words}: {new.folder}", markup=False, soft_wrap=True)
        if promotion is None:
            say(f"Compare it and put it in use: landmark-detector promote {new.folder} --store {store}")
        else:
            _say(promotion)
    _end(promotion)


def promote(
    candidate: Annotated[Path, typer.Argument(help="The folder of a retrained bundle.", metavar="CANDIDATE")],
    store: StoreOption,
    data: OriginalOption = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="What it is compared with; by default the bundle in use, else its parent.", metavar="NAME|PATH"
        ),
    ] = None,
    because: BecauseOption = "",
    by: ByOption = "",
    only_compare: Annotated[bool, typer.Option("--compare-only", help="Put nothing in use.")] = False,
    html: PageOption = None,
    observer: ObserverOption = "consensus",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Compare a retrained bundle with the one in use, and put it in its place if it is not worse.

    Judged on the cases of the store that are locked and, with --data, on what was held out of the original data. A page
    with figures and pictures is written beside the candidate. Ends with 2 where it is not promoted.
    """
    check_report_can_be_written("install it first")
    how: dict[str, Any] = {"because": because, "by": by, "observer": observer, "device": device}
    promotion = _promoted(candidate, store, against=against, data=data, install=not only_compare, html=html, **how)
    if as_json:
        print_json(promotion.to_json())
    else:
        _say(promotion)
    _end(None if only_compare else promotion)


def _promoted(candidate: Path, store: Path, *, html: Path | None = None, **how: Any) -> Promotion:
    """Compare, put in use, and write page and figures; ``how`` is for :func:`LandmarkDetectorLib.review.promote`."""
    from LandmarkDetectorLib.review.promote import check_page_place, save_page
    from LandmarkDetectorLib.review.promote import promote as run

    folder = candidate.absolute().parent
    page = html or folder / PAGE
    check_page_place(page)
    with Steps() as steps:
        promotion = run(candidate.absolute(), store, progress=steps, **how)
        steps("drawing the page", 1.0)
        try:
            save_page(promotion, page)
        except KeyboardInterrupt:
            raise Cancelled(f"{promotion.outcome} But its page was not written.") from None
        write_json(promotion.to_json(), folder / FIGURES)
    say(f"Written: {page}")
    return promotion


def _say(promotion: Promotion) -> None:
    results.print(promotion.outcome, markup=False, soft_wrap=True)
    for sentence in (*promotion.doubts, *promotion.decision.reasons):
        say(f"- {sentence}")


def _end(promotion: Promotion | None) -> None:
    if promotion is not None and promotion.promoted is None:
        raise LandmarkDetectorError(
            "Nothing was put in use. Look at the page; to promote it all the same, say why by --because."
        )
