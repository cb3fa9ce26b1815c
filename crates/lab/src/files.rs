//! Small files of the lab, written with errors that name them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::LabError;

pub(crate) fn write(file: &Path, text: &str) -> Result<(), LabError> {
    fs::write(file, text).map_err(LabError::io(format_args!("write {}", file.display())))
}

pub(crate) fn set_mode(file: &Path, mode: u32) -> Result<(), LabError> {
    fs::set_permissions(file, fs::Permissions::from_mode(mode))
        .map_err(LabError::io(format_args!("change the mode of {}", file.display())))
}
