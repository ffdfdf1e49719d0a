"""Headers that name the file of their values: in their folder or below, and nowhere else."""

from __future__ import annotations

import pytest

from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.io import detached, load_image


@pytest.mark.parametrize(
    "file",
    ["/secret.raw", "../secret.raw", "a/../../secret.raw", "..\\secret.raw", "\\\\host\\secret.raw", "C:secret.raw"],
)
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("suffix", [".nhdr", ".mhd", ".nrrd", ".mha"])
def test_a_header_that_takes_its_values_from_elsewhere_is_refused(tmp_path, refused, suffix, listed, file):
    file = f"LIST\r\na.raw\r\n{file}" if listed else file
    head = {
        "n": f"NRRD0004\r\ntype: uint8\r\ndimension: 2\r\nsizes: 2 2\r\nencoding: raw\r\ndata file: {file}\r\n",
        "m": f"NDims = 2\r\nDimSize = 2 2\r\nElementType = MET_UCHAR\r\nElementDataFile = {file}\r\n",
    }
    (tmp_path / f"a{suffix}").write_bytes(head[suffix[1]].encode())
    assert "from outside of its folder" in refused(ImageError, load_image, tmp_path / f"a{suffix}")


@pytest.mark.parametrize(("suffix", "comment"), [(".nhdr", "NRRD0004\n# a\n"), (".mhd", "Comment = a\n")])
def test_a_header_too_long_to_be_seen_whole_is_refused(tmp_path, refused, monkeypatch, suffix, comment):
    monkeypatch.setattr(detached, "_LIMIT", len(comment))
    (tmp_path / f"a{suffix}").write_text(comment + "ElementDataFile = /secret\ndata file: /secret\n")
    assert "header is longer than" in refused(ImageError, load_image, tmp_path / f"a{suffix}")


def test_values_of_a_detached_header_may_stand_in_a_folder_below(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "v.raw").write_bytes(bytes(range(4)))
    for name, head in (
        ("a.nhdr", "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 2 2\nencoding: raw\ndata file: below/v.raw\n"),
        ("a.mhd", "NDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = below/v.raw\n"),
    ):
        (tmp_path / name).write_text(head)
        assert load_image(tmp_path / name).array.ravel().tolist() == [0, 1, 2, 3]
