//! The main job on two directories in the OCI image layout. The other end is an agent process, as behind
//! ssh; only ssh is missing.

use std::path::Path;

use super::layout::Layout;
use super::{IMAGE, Stage, pair};
use crate::units::bytes;
use crate::{Result, show};

pub(super) fn run(program: &Path) -> Result {
    show::heading("── Two directories: an image and its rebuilt version ──");
    let dir = tempfile::Builder::new().prefix("docker-sync-demo-").tempdir()?;
    let (old, new) = pair::build(IMAGE)?;
    let source = Layout::create(&dir.path().join("source"), &new.archive())?;
    let target = Layout::create(&dir.path().join("target"), &old.archive())?;
    let size: usize = new.layers().iter().map(|layer| layer.tar().len()).sum();
    show::note(format_args!(
        "{IMAGE} in 'source' ({}) is a rebuild of the one in 'target': every file has a new time,\n\
         one package is new, one file of the application has another line.\n",
        bytes(size as u64)
    ));

    let stage = Stage {
        host: "",
        program,
        dir: dir.path().to_owned(),
        environment: vec![("XDG_CACHE_HOME".to_owned(), dir.path().join("cache").display().to_string())],
    };
    stage.docker_sync(&["--docker", "oci:target", "oci:source"])?;
    stage.docker_sync(&["--docker", "oci:target", "oci:source", IMAGE])?;
    stage.docker_sync(&["--docker", "oci:target", "oci:source"])?;

    let (there, here) = (source.image(IMAGE)?, target.image(IMAGE)?);
    if here.config != new.id() || here.config != there.config {
        return Err(format!("{} arrived, not {}", here.config, there.config).into());
    }
    target.verify(&here)?;
    show::good(format_args!("'target' has {} under the name {IMAGE}", here.config));
    show::good(format_args!(
        "its {} layers are complete: each has the digest it is known by",
        here.layers.len()
    ));
    Ok(())
}
