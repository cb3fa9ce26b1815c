//! The main job between two hosts: each a real engine behind a real sshd, and a proxy that counts what
//! crosses the wire.

use std::path::Path;
use std::process::Command;

use dsync_lab::{Host, Lab, images};

use super::{IMAGE, Stage, packages};
use crate::units::bytes;
use crate::{Result, show};

/// True if the lab can run here.
pub(super) fn possible() -> bool {
    let engine = packages::find("dockerd").is_some() || packages::find("apt-get").is_some();
    packages::require_root().is_ok() && engine
}

pub(super) fn run(program: &Path) -> Result {
    show::heading("── Two hosts with real engines ──");
    let lab = Lab::start(&["alpha", "beta"])?;
    let (alpha, beta) = (lab.host("alpha"), lab.host("beta"));
    provide(alpha, "tiny:2")?;
    provide(beta, "tiny:1")?;
    show::note("alpha has a new build of shop/web, beta the one before; nothing is installed on alpha\n");

    let ssh = format!("ssh -F {}", lab.ssh_config().display());
    let stage = |label: &str| {
        let mut environment = beta.engine().environment();
        let place = |path: std::path::PathBuf| path.display().to_string();
        let more = [
            ("HOME", place(beta.home())),
            ("TMPDIR", place(beta.tmp())),
            ("XDG_CACHE_HOME", place(beta.home().join(".cache"))),
            ("WIRE_LABEL", label.to_owned()),
        ];
        environment.extend(more.map(|(name, value)| (name.to_owned(), value)));
        Stage { host: "beta", program, dir: beta.home(), environment }
    };
    stage("report").docker_sync(&["--ssh", &ssh, "alpha"])?;
    stage("sync").docker_sync(&["--ssh", &ssh, "alpha", IMAGE])?;
    stage("again").docker_sync(&["--ssh", &ssh, "alpha", IMAGE])?;
    stage("").show(Command::new("docker").args(["run", "--rm", "--network", "host", IMAGE]))?;

    let (there, here) = (alpha.engine().image_id(IMAGE), beta.engine().image_id(IMAGE));
    if there.is_none() || there != here {
        return Err(format!("alpha has {there:?}, beta {here:?}").into());
    }
    show::good(format_args!("both engines show {} for {IMAGE}", here.unwrap_or_default()));
    for (label, what) in [
        ("report", "the first contact, for which alpha got its agent"),
        ("sync", "the new image"),
        ("again", "finding that there is nothing to do"),
    ] {
        let wire = lab.wire(label)?;
        show::good(format_args!(
            "{what}: {} on the wire, ssh included ({} up, {} down)",
            bytes(wire.bytes()),
            bytes(wire.up),
            bytes(wire.down)
        ));
    }
    Ok(lab.stop()?)
}

/// Gives a host one of the lab's images, under the name of the demonstration.
fn provide(host: &Host, image: &str) -> Result {
    images::get(host.engine(), image)?;
    crate::shell::run(host.docker().args(["tag", image, IMAGE]))?;
    crate::shell::output(host.docker().args(["image", "rm", image])).map(drop)
}
