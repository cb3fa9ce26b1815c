//! Lists images: their IDs, then what `inspect` says of them.

use std::collections::BTreeMap;

use dsync_core::{DiffId, Image, ImageId, ImageRef, Platform};
use serde_json::Value;

use crate::command::Program;
use crate::failure::only_missing_images;
use crate::store::StoreError;

/// Each ID takes 72 bytes of the argument vector, of which Linux allows 2 MiB and others 256 KiB.
const BATCH: usize = 1000;

/// All images that are shown, dangling ones too. The intermediate ones of Docker's old builder are not:
/// their layers are the lower ones of images that are shown.
pub(super) fn list(program: &Program) -> Result<Vec<Image>, StoreError> {
    let output = program.run(&["images", "--quiet", "--no-trunc"], None)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut ids: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    ids.sort_unstable();
    ids.dedup();
    inspect_all(program, &ids)
}

/// As [`inspect`], of any number.
pub(super) fn inspect_all(program: &Program, ids: &[&str]) -> Result<Vec<Image>, StoreError> {
    let mut images = Vec::with_capacity(ids.len());
    for batch in ids.chunks(BATCH) {
        images.extend(inspect(program, batch)?);
    }
    Ok(images)
}

/// The IDs of all images that are shown, with their names.
pub(super) fn names(program: &Program) -> Result<BTreeMap<ImageId, Vec<ImageRef>>, StoreError> {
    let format = "{{.ID}} {{.Repository}}:{{.Tag}}";
    let output = program.run(&["images", "--no-trunc", "--format", format], None)?;
    let mut images: BTreeMap<ImageId, Vec<ImageRef>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((id, name)) = line.split_once(' ') else { continue };
        let id = id.parse().map_err(|_| StoreError::Broken {
            what: "the output of `images`".into(),
            reason: format!("{id:?} is no image ID"),
        })?;
        // `<none>:<none>` is no name.
        images.entry(id).or_default().extend(name.parse::<ImageRef>());
    }
    for names in images.values_mut() {
        names.sort_unstable();
        names.dedup();
    }
    Ok(images)
}

/// Those of these images that are there; others went away since they were listed.
pub(super) fn inspect(program: &Program, ids: &[&str]) -> Result<Vec<Image>, StoreError> {
    let output = program.output(&[&["image", "inspect"], ids].concat())?;
    if !output.success() && !only_missing_images(&output.stderr) {
        return Err(output.failure(None));
    }
    parse_inspect(&output.stdout)
}

/// Reads what `docker image inspect` or `podman image inspect` prints.
pub fn parse_inspect(json: &[u8]) -> Result<Vec<Image>, StoreError> {
    let broken = |reason: String| StoreError::Broken { what: "the output of `image inspect`".into(), reason };
    if json.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let list: Value = serde_json::from_slice(json).map_err(|error| broken(format!("not JSON: {error}")))?;
    let list = list.as_array().ok_or_else(|| broken("not a list".into()))?;
    list.iter()
        .map(|image| parse_image(image).map_err(|field| broken(format!("no usable '{field}'"))))
        .collect()
}

fn parse_image(json: &Value) -> Result<Image, &'static str> {
    let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |pointer: &str| json.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice);
    let layers = list("/RootFS/Layers").unwrap_or_default();
    let diff_ids: Option<Vec<DiffId>> = layers.iter().map(|id| id.as_str()?.parse().ok()).collect();
    let tags = list("/RepoTags").unwrap_or_default();
    // `<none>:<none>` and what else is no name for a new tag is passed over.
    let mut names: Vec<ImageRef> = tags.iter().filter_map(|tag| tag.as_str()?.parse().ok()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(Image {
        id: text("Id").parse().map_err(|_| "Id")?,
        names,
        diff_ids: diff_ids.ok_or("RootFS.Layers")?,
        platform: Platform { os: text("Os"), architecture: text("Architecture"), variant: text("Variant") },
        size: json.get("Size").and_then(Value::as_u64).unwrap_or(0),
        created: text("Created"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "sha256:3e27de6fa2a8622d52b96740ee5da541d9fee649687981371551e9da0e12ad0e";
    const LAYER: &str = "sha256:5679550b627aeb1fe816f18f6272a297818807aa5a6f35966a1f69aaf65df2a8";

    fn parse(json: &str) -> Vec<Image> {
        parse_inspect(json.replace("$ID", ID).replace("$LAYER", LAYER).as_bytes()).unwrap()
    }

    fn expected(names: &[&str], size: u64) -> Image {
        Image {
            id: ID.parse().unwrap(),
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            diff_ids: vec![LAYER.parse().unwrap()],
            platform: "linux/amd64".parse().unwrap(),
            size,
            created: "2026-11-24T05:59:55.986197098Z".into(),
        }
    }

    #[test]
    fn docker_20() {
        let images = parse(
            r#"[{"Id":"$ID","RepoTags":["appcode:1","appcode:0","reg.example:5000/a/b:x"],"RepoDigests":[],"Parent":"","Created":"2026-11-24T05:59:55.986197098Z","Architecture":"amd64","Os":"linux","Size":259239155,"VirtualSize":259239155,"RootFS":{"Type":"layers","Layers":["$LAYER"]}}]"#,
        );
        assert_eq!(images, [expected(&["appcode:0", "appcode:1", "reg.example:5000/a/b:x"], 259239155)]);
    }

    #[test]
    fn podman_4() {
        let images = parse(
            r#"[{"Id":"3e27de6fa2a8622d52b96740ee5da541d9fee649687981371551e9da0e12ad0e","Digest":"sha256:6d7e291ec10e631bb3ceebfec1a6e5539d9c7c16c8d943c5827fc044fa48386f","RepoTags":["localhost/appcode:1","docker.io/library/appcode:2"],"Created":"2026-11-24T05:59:55.986197098Z","Architecture":"amd64","Os":"linux","Size":269565398,"RootFS":{"Type":"layers","Layers":["$LAYER"]}}]"#,
        );
        assert_eq!(images, [expected(&["appcode:2", "localhost/appcode:1"], 269565398)]);
    }

    #[test]
    fn dangling_and_empty_images() {
        let images =
            parse(r#"[{"Id":"$ID","RepoTags":["<none>:<none>"],"RootFS":{"Type":"layers"}},{"Id":"$ID"}]"#);
        assert!(images.iter().all(|image| image.names.is_empty() && image.diff_ids.is_empty()));
        assert_eq!((images.len(), parse("[]\n").len(), parse("").len()), (2, 0, 0));
    }

    #[test]
    fn what_is_no_inspection_is_an_error() {
        for json in ["x", "{}", r#"[{"Id":"x"}]"#, r#"[{"Id":"$ID","RootFS":{"Layers":["x"]}}]"#] {
            assert!(parse_inspect(json.replace("$ID", ID).as_bytes()).is_err(), "{json}");
        }
    }
}
