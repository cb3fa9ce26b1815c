//! REMOTE, which may be a docker context: its host is taken from the files of the docker CLI
//! (`contexts/meta/SHA256-OF-NAME/meta.json` in its configuration directory).

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dsync_core::Digest;
use dsync_sync::Remote;
use serde_json::Value;

const PREFIX: &str = "context:";

/// Parses REMOTE.
pub(crate) fn remote(text: &str) -> Result<Remote, String> {
    let Some(name) = text.strip_prefix(PREFIX) else {
        return text.parse().map_err(|error: dsync_sync::RemoteError| error.to_string());
    };
    let folder = configuration().ok_or("no docker contexts: neither DOCKER_CONFIG nor HOME is set")?;
    let host = host(&folder, name)?;
    match host.starts_with("ssh://") {
        true => host.parse().map_err(|error: dsync_sync::RemoteError| error.to_string()),
        false => Err(format!(
            "the context '{name}' is at {host}, and REMOTE is reached over ssh; its engine can be this host's: --docker {text}"
        )),
    }
}

/// The contexts that can be REMOTE, as it is written.
pub(crate) fn remotes() -> Vec<String> {
    let all = configuration().and_then(|folder| fs::read_dir(folder.join("contexts/meta")).ok());
    let remote = |entry: io::Result<fs::DirEntry>| {
        let meta: Value =
            serde_json::from_slice(&fs::read(entry.ok()?.path().join("meta.json")).ok()?).ok()?;
        let name = format!("{PREFIX}{}", meta["Name"].as_str()?);
        remote(&name).is_ok().then_some(name)
    };
    all.into_iter().flatten().filter_map(remote).collect()
}

/// The directory of the docker CLI's configuration.
fn configuration() -> Option<PathBuf> {
    let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("DOCKER_CONFIG").or_else(|| Some(named("HOME")?.join(".docker")))
}

/// The address of the context's engine.
fn host(configuration: &Path, name: &str) -> Result<String, String> {
    let file = configuration.join("contexts/meta").join(Digest::of(name.as_bytes()).hex()).join("meta.json");
    let text = fs::read(&file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("there is no docker context '{name}': `docker context ls` lists them")
        }
        _ => format!("the docker context '{name}' cannot be read: {}: {error}", file.display()),
    })?;
    let meta: Value = serde_json::from_slice(&text)
        .map_err(|error| format!("the docker context '{name}' is damaged: {}: {error}", file.display()))?;
    let host = meta["Endpoints"]["docker"]["Host"].as_str().filter(|host| !host.is_empty());
    host.map(Into::into)
        .ok_or_else(|| format!("the docker context '{name}' names no host: {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_found_by_the_hash_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| Digest::of(name.as_bytes()).hex();
        // `printf prod | sha256sum`
        assert!(of("prod").starts_with("6754af9632a2745e"));
        let write = |name: &str, text: &str| {
            let place = folder.path().join("contexts/meta").join(of(name));
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("meta.json"), text).unwrap();
        };
        write("prod", r#"{"Name":"prod","Endpoints":{"docker":{"Host":"ssh://deploy@prod:2222"}}}"#);
        write("none", r#"{"Name":"none","Endpoints":{}}"#);
        write("torn", r#"{"Name":"#);
        assert_eq!(host(folder.path(), "prod").unwrap(), "ssh://deploy@prod:2222");
        let refused = |name| host(folder.path(), name).unwrap_err();
        assert!(refused("other").starts_with("there is no docker context 'other'"));
        assert!(refused("none").contains("names no host"));
        assert!(refused("torn").contains("is damaged"));
    }
}
