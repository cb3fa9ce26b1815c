//! `lab`: hosts to play with, and the keeper that takes them away again.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use dsync_lab::{EngineKind, EngineOptions, Lab, LabError, LoginOptions, images, keeper};

const USAGE: &str = "usage: lab up [HOST[=ENGINE]...] [--image IMAGE]...
       lab images
       lab engines

lab up starts hosts (alpha and beta, unless named), each with an engine (this
machine's docker, unless named) and an sshd, loads the images into the first
one, prints variables to eval, and runs until Ctrl-C. lab images lists the
images there are recipes for, lab engines the engines.";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["up", ref rest @ ..] => up(rest),
        ["images"] => {
            images::recipes().iter().for_each(|recipe| println!("{}", recipe.image));
            Ok(())
        }
        ["engines"] => {
            EngineKind::NAMED.iter().for_each(|(name, _)| println!("{name}"));
            Ok(())
        }
        ["keep", dir] => keeper::keep(Path::new(dir), io::stdin()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn up(words: &[&str]) -> Result<(), LabError> {
    let (mut hosts, mut wanted) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--image" => wanted.extend(words.next()),
            host => hosts.push(host),
        }
    }
    if hosts.is_empty() {
        hosts = vec!["alpha", "beta"];
    }
    let mut builder = Lab::builder();
    for host in hosts {
        let (host, engine) = host.split_once('=').unwrap_or((host, "docker"));
        let kind = EngineKind::named(engine)
            .ok_or_else(|| LabError::Usage(format!("no engine '{engine}': see lab engines")))?;
        let options = EngineOptions { kind, ..EngineOptions::default() };
        builder = builder.host_with(host, options, LoginOptions::default());
    }
    let lab = builder.start()?;
    for image in wanted {
        images::get(lab.hosts()[0].engine(), image)?;
    }
    println!(
        "export LAB_SSH_CONFIG={} LAB_WIRE_LOG={}",
        lab.ssh_config().display(),
        lab.wire_log().display()
    );
    for host in lab.hosts() {
        let name = host.name().to_uppercase().replace('-', "_");
        println!(
            "export {name}_DOCKER_HOST={} {name}_HOME={}",
            host.engine().docker_host(),
            host.home().display()
        );
    }
    eprintln!("lab: running in {} until Ctrl-C", lab.dir().display());
    // Nothing to do for this process: its end is the lab's end.
    loop {
        std::thread::park();
    }
}
