//! Docker without root: the engine of a user, whose socket the client knows only by an environment that a session over ssh
//! may not have (`docker context use rootless`, or DOCKER_HOST in the shell's profile).

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::store::StoreError;
use crate::{Opened, engine};

/// The store that was found by these words. For a docker whose engine does not answer, or may not be used, it is that of
/// this user, if it has a socket.
pub(crate) fn or_of_user(found: Opened, words: &[String]) -> Opened {
    match found {
        Err(error @ (StoreError::Down { .. } | StoreError::Permission { .. })) if words == ["docker"] => {
            let Some(socket) = socket() else { return Err(error) };
            engine(&["docker".into(), "--host".into(), format!("unix://{}", socket.display())]).or(Err(error))
        }
        found => found,
    }
}

/// The socket of this user's engine. None where an engine was chosen: that one is meant.
fn socket() -> Option<PathBuf> {
    let named = |name| env::var_os(name).filter(|value| !value.is_empty());
    if ["DOCKER_HOST", "DOCKER_CONTEXT"].into_iter().any(|name| named(name).is_some()) || has_context() {
        return None;
    }
    let of_session = named("XDG_RUNTIME_DIR").map(PathBuf::from);
    let of_user = PathBuf::from(format!("/run/user/{}", rustix::process::getuid().as_raw()));
    let sockets = of_session.into_iter().chain([of_user]).map(|folder| folder.join("docker.sock"));
    sockets.into_iter().find(|socket| socket.exists())
}

/// True if the configuration of the docker CLI names a context.
fn has_context() -> bool {
    let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = named("DOCKER_CONFIG").or_else(|| Some(named("HOME")?.join(".docker")));
    let text = folder.and_then(|folder| fs::read(folder.join("config.json")).ok()).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    config["currentContext"].as_str().is_some_and(|context| !context.is_empty() && context != "default")
}
