//! Estimates the sizes of layers from `history`.
//!
//! podman names the size of each layer's tar, Docker's classic store the bytes of the files in it, without headers and
//! padding, and the containerd store the space that they take on disk: good enough to estimate the work.

use dsync_core::{DiffId, Image};
use serde_json::Value;

use super::identify::{Engine, Syntax};
use crate::command::Program;
use crate::store::StoreError;

/// One step of a build, as `history` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BuildStep {
    size: u64,
    created_by: String,
}

/// The sizes of the layers, the lowest first.
pub(super) fn layer_sizes(
    program: &Program,
    engine: &Engine,
    image: &Image,
) -> Result<Option<Vec<u64>>, StoreError> {
    let id = image.id.to_string();
    let args = ["history", "--no-trunc", "--human=false", "--format", "{{json .}}", &id];
    let output = program.run(&args, Some(&id))?;
    let steps = match engine.syntax {
        Syntax::Docker => parse_lines(&output.stdout),
        Syntax::Podman => parse_list(&output.stdout),
    };
    Ok(steps.and_then(|steps| assign(&steps, &image.diff_ids)))
}

/// docker: one object a line, the newest first, sizes as text.
fn parse_lines(output: &[u8]) -> Option<Vec<BuildStep>> {
    let text = std::str::from_utf8(output).ok()?;
    let steps = text.lines().rev().filter(|line| !line.trim().is_empty()).map(|line| {
        let json: Value = serde_json::from_str(line).ok()?;
        Some(BuildStep {
            size: json.get("Size")?.as_str()?.parse().ok()?,
            created_by: json.get("CreatedBy")?.as_str()?.to_owned(),
        })
    });
    steps.collect()
}

/// podman: one list, the newest first.
fn parse_list(output: &[u8]) -> Option<Vec<BuildStep>> {
    let json: Value = serde_json::from_slice(output).ok()?;
    let steps = json.as_array()?.iter().rev().map(|step| {
        Some(BuildStep {
            size: step.get("size")?.as_u64()?,
            created_by: step.get("CreatedBy").and_then(Value::as_str).unwrap_or_default().to_owned(),
        })
    });
    steps.collect()
}

/// The size of each layer, where steps and layers can be matched in one way only.
///
/// A step of size zero may have made a layer without contents or none; some instructions never make one.
fn assign(steps: &[BuildStep], diff_ids: &[DiffId]) -> Option<Vec<u64>> {
    let sizes = |may: &dyn Fn(&&BuildStep) -> bool| {
        let sizes: Vec<u64> = steps.iter().filter(may).map(|step| step.size).collect();
        (sizes.len() == diff_ids.len()).then_some(sizes)
    };
    sizes(&|step| step.size > 0)
        .or_else(|| sizes(&|step| step.size > 0 || may_make_a_layer(&step.created_by)))
        .or_else(|| sizes(&|_| true))
}

fn may_make_a_layer(created_by: &str) -> bool {
    const NEVER: [&str; 14] = [
        "ARG",
        "CMD",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "FROM",
    ];
    let instruction = created_by.trim_start_matches("/bin/sh -c ").trim_start_matches("#(nop)").trim_start();
    !NEVER.contains(&instruction.split_whitespace().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER_20: &str = r##"
{"Comment":"","CreatedAt":"2026-11-24T05:59:55Z","CreatedBy":"/bin/sh -c #(nop)  CMD [\"python3\"]","CreatedSince":"2026-11-24T05:59:55Z","ID":"sha256:3e27","Size":"0"}
{"Comment":"","CreatedAt":"2026-11-24T05:59:55Z","CreatedBy":"/bin/sh -c #(nop) COPY dir:2aed in /app ","CreatedSince":"2026-11-24T05:59:55Z","ID":"sha256:0a8c","Size":"1685759"}
{"Comment":"","CreatedAt":"2026-11-24T05:59:39Z","CreatedBy":"/bin/sh -c #(nop) ADD file:e863 in / ","CreatedSince":"2026-11-24T05:59:39Z","ID":"sha256:7128","Size":"125628947"}
"##;
    const PODMAN_4: &str = r##"[{"id":"3e27","created":"2026-11-24T05:59:55.986197098Z","CreatedBy":"/bin/sh -c #(nop)  CMD [\"python3\"]","size":0,"Created":"2026-11-24T05:59:55Z"},{"id":"\u003cmissing\u003e","CreatedBy":"/bin/sh -c #(nop) COPY dir:2aed in /app ","size":1733120},{"id":"\u003cmissing\u003e","CreatedBy":"/bin/sh -c #(nop) ADD file:e863 in / ","size":130937344}]"##;

    fn ids(count: usize) -> Vec<DiffId> {
        (0..count).map(|at| DiffId::of(&[at as u8])).collect()
    }

    fn steps(steps: &[(u64, &str)]) -> Vec<BuildStep> {
        steps.iter().map(|(size, by)| BuildStep { size: *size, created_by: (*by).to_owned() }).collect()
    }

    #[test]
    fn both_clients_are_understood() {
        let docker = parse_lines(DOCKER_20.as_bytes()).unwrap();
        assert_eq!(assign(&docker, &ids(2)), Some(vec![125628947, 1685759]));
        let podman = parse_list(PODMAN_4.as_bytes()).unwrap();
        assert_eq!(assign(&podman, &ids(2)), Some(vec![130937344, 1733120]));
        assert_eq!(parse_list(b"x"), None);
        assert_eq!(parse_lines(b"x"), None);
        assert_eq!(parse_lines(b""), Some(Vec::new()));
    }

    #[test]
    fn layers_without_contents_are_found_by_what_made_them() {
        let buildkit = steps(&[(9, "ADD x / # buildkit"), (0, "WORKDIR /app"), (0, "ENV A=b"), (5, "RUN x")]);
        assert_eq!(assign(&buildkit, &ids(3)), Some(vec![9, 0, 5]));
        assert_eq!(assign(&buildkit, &ids(2)), Some(vec![9, 5]));
        assert_eq!(assign(&buildkit, &ids(4)), Some(vec![9, 0, 0, 5]));
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        let ambiguous = steps(&[(9, "ADD x /"), (0, "RUN true"), (0, "WORKDIR /"), (0, "CMD x")]);
        assert_eq!(assign(&ambiguous, &ids(2)), None);
        assert_eq!(assign(&[], &ids(1)), None);
        assert_eq!(assign(&[], &[]), Some(Vec::new()));
    }
}
