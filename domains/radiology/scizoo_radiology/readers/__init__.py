"""Reading the files of the field: DICOM, NIfTI, PNG and JPEG."""
