//! Real images: built in an engine of the lab, and kept as archives so that it happens once.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::recipe::Recipe;
use crate::command::run;
use crate::{Engine, LabError, cache, packages};

/// Makes sure that an engine has one of the real images, all of which [`super::recipes`] lists.
pub fn get(engine: &Engine, image: &str) -> Result<(), LabError> {
    if engine.image_id(image).is_none() {
        engine.load_file(&archive(engine, image)?)?;
    }
    Ok(())
}

/// The archive of one of the real images. If need be it is built in this engine, which then has it.
pub fn archive(engine: &Engine, image: &str) -> Result<PathBuf, LabError> {
    let recipe = Recipe::of(image)?;
    let cache = cache::directory()?;
    let file = cache.join(recipe.key()? + ".tar");
    if file.is_file() {
        return Ok(file);
    }
    // A second process waits, and then finds the archive.
    let _lock = cache::lock(&cache, "lock")?;
    build_with_bases(engine, recipe, &cache)?;
    Ok(file)
}

/// Builds an image and what it is based on, as far as there are no archives.
fn build_with_bases(engine: &Engine, recipe: &Recipe, cache: &Path) -> Result<(), LabError> {
    let file = cache.join(recipe.key()? + ".tar");
    if file.is_file() {
        if engine.image_id(recipe.image).is_none() {
            engine.load_file(&file)?;
        }
        return Ok(());
    }
    if let Some(base) = recipe.base {
        build_with_bases(engine, Recipe::of(base)?, cache)?;
    }
    packages::require(recipe.programs)?;
    eprintln!("lab: building {}", recipe.image);
    let scratch = tempfile::Builder::new()
        .prefix("build-")
        .tempdir_in(cache)
        .map_err(LabError::io("make a build context"))?;
    build(engine, recipe, scratch.path())?;
    let part = scratch.path().join("image.tar");
    run(engine.client().args(["save", recipe.image, "--output"]).arg(&part))?;
    fs::rename(&part, &file).map_err(LabError::io(format_args!("keep {}", file.display())))
}

fn build(engine: &Engine, recipe: &Recipe, scratch: &Path) -> Result<(), LabError> {
    let (context, work) = (scratch.join("context"), scratch.join("work"));
    for dir in [&context, &work] {
        fs::create_dir(dir).map_err(LabError::io("make a build context"))?;
    }
    let mut prepare = None;
    for file in recipe.files()? {
        let name = file.file_name().unwrap_or_default();
        if name == "prepare" {
            prepare = Some(file);
        } else {
            let cannot = LabError::io(format_args!("copy {}", file.display()));
            fs::copy(&file, context.join(name)).map_err(cannot)?;
        }
    }
    if let Some(script) = prepare {
        let mut command = Command::new("sh");
        command.arg("-eu").arg(script).current_dir(&context).env("TAG", recipe.tag()).env("WORK", &work);
        // This may run below cargo, whose variables would reach a cargo of the script.
        command.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
        run(&mut command)?;
    }
    let mut command = engine.client();
    // The classic builder is in every dockerd. Without its cache, ":2" never shares a rebuilt layer with
    // ":1", as on a build machine that is new each time.
    command.env("DOCKER_BUILDKIT", "0");
    command.args(["build", "--no-cache", "--force-rm", "--network", "host", "--tag", recipe.image]);
    for (name, value) in recipe.args {
        command.arg("--build-arg").arg(format!("{name}={value}"));
    }
    for proxy in ["http_proxy", "https_proxy", "no_proxy"].iter().filter(|name| env::var_os(name).is_some()) {
        command.args(["--build-arg", proxy]);
    }
    run(command.arg(&context)).map(drop)
}
