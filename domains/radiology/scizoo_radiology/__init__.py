"""Radiology for scizoo: radiographs, CT and MR slices, and reports. Not a medical device."""

from scizoo.domain import Domain

DOMAIN = Domain(
    name="radiology",
    summary="Models of radiographs, CT and MR slices and reports: classes, findings, organs, retrieval",
    package="scizoo_radiology",
    formats=("DICOM", "DICOM series", "NIfTI", "PNG", "JPEG", "NPZ images", "CSV", "Parquet", "ZIP of these"),
    checkpoints={"xray-tiny": "checkpoints/xray-tiny"},
    requires=("pydicom", "nibabel"),
    picture="scizoo_radiology.picture.draw",
    reference="scizoo_radiology.reference.inputs",
    reference_pairs="scizoo_radiology.reference.pairs",
    inspect="scizoo_radiology.inspection.inspect",
    disclaimer=(
        "This is not a medical device: research software that no authority has cleared. Its output must not "
        "be used to diagnose, treat or triage a patient."
    ),
)
