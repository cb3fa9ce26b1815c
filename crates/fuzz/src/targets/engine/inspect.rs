//! Images as engines' clients print them.

use dsync_engine::parse_inspect;

use crate::{Memory, Target};

/// Reads what `inspect` prints.
pub(in crate::targets) const INSPECT: Target =
    Target { name: "inspect", run, memory: Memory { least: 1 << 20, factor: 128 }, seeds };

fn run(input: &[u8]) {
    let Ok(listed) = parse_inspect(input) else { return };
    let again = parse_inspect(input).ok();
    assert_eq!(again.as_ref(), Some(&listed));
    for image in &listed.images {
        assert!(image.diff_ids.len() * 64 <= input.len());
        assert!(image.names.iter().all(|name| name.to_string().parse().as_ref() == Ok(name)));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let id = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let docker = format!(
        r#"[{{"Id":"sha256:{id}","RepoTags":["web:1","registry.example:5000/a/b:x"],"RepoDigests":["web@sha256:{id}"],"Created":"2026-11-24T05:59:55.986Z","Architecture":"amd64","Variant":"v2","Os":"linux","Size":259239155,"RootFS":{{"Type":"layers","Layers":["sha256:{id}","sha256:{id}"]}}}}]"#
    );
    let podman = format!(
        r#"[{{"Id":"{id}","Digest":"sha256:{id}","RepoTags":["localhost/web:1"],"Created":"2026-11-24T05:59:55Z","Architecture":"arm64","Os":"linux","Size":1,"RootFS":{{"Type":"layers","Layers":["sha256:{id}"]}}}},{{"Id":"x","RepoTags":["<none>:<none>"]}}]"#
    );
    vec![docker.into_bytes(), podman.into_bytes(), b"[]".to_vec()]
}
