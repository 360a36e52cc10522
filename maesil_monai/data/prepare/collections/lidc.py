"""LIDC-IDRI as TCIA delivers it: patient, study and series folders of DICOM, chest films and XML annotations among them."""

from __future__ import annotations

import os

from maesil_monai.data.dicom import SeriesPolicy
from maesil_monai.data.prepare.collections.listing import Candidate, Listing
from maesil_monai.data.volumes.admission_checks import check_folder
from maesil_monai.data.volumes.bad_volume import BadVolume

DATASET = "lidc"


def lidc(folder: str | os.PathLike[str], series_policy: SeriesPolicy = "thinnest") -> Listing:
    """Lists the CT series of a TCIA download; who is who is read from the DICOM headers, not from the folders' names.

    Args:
        folder: the download, at any depth above the series.
        series_policy: which series of a study are taken: ``thinnest``, ``all`` or ``one-per-study``.

    Raises:
        BadVolume: MISSING, NOT_A_FOLDER, NO_DICOM.
    """
    listing = Listing()
    for series in listing.take_ct_series(check_folder(folder, "the folder of a collection"), series_policy):
        # A patient without an ID is told apart by the study or series, so that no two strangers become one.
        patient = series.patient_id or series.study_uid or series.series_uid
        listing.candidates.append(
            Candidate(series.files, True, DATASET, series.series_uid, patient, series.study_uid, split=None)
        )
    if not listing.candidates and not listing.not_ct:
        raise BadVolume("NO_DICOM", folder, "no DICOM file", "the LIDC-IDRI download of TCIA", "Name the folder of the download.")
    return listing
