//! Lists images: by `images` their IDs, by `image inspect` the rest.

use std::collections::{BTreeMap, HashSet};

use dsync_core::{DiffId, Digest, Image, ImageId, ImageRef, Inventory, Platform, Unreadable};
use serde_json::Value;

use crate::command::{Output, Program};
use crate::failure::only_missing_images;
use crate::store::StoreError;

/// Each ID takes 72 bytes of the argument vector, of which Linux allows 2 MiB and others 256 KiB.
const BATCH: usize = 1000;
/// The most calls for one list on a host where images are removed meanwhile.
const ATTEMPTS: u32 = 4;

/// All images that are shown, dangling ones too. The intermediate ones of Docker's old builder are not:
/// their layers are the lower ones of images that are shown.
pub(super) fn list(program: &Program) -> Result<Inventory, StoreError> {
    let output = images(program, &["--quiet", "--no-trunc"])?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut ids: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    ids.sort_unstable();
    ids.dedup();
    inspect_all(program, &ids)
}

/// True if the engine answered with a failure of its own: docker's client ends with 1 then and podman's with 125, while
/// a client that was killed, or an ssh that lost its connection, ends otherwise.
fn is_of_engine(failure: &StoreError) -> bool {
    matches!(failure, StoreError::Failed { status, .. } if ["exit status: 1", "exit status: 125"].contains(&&**status))
}

/// Runs `images`. Docker's containerd store fails as a whole where one image is removed during the call: `content digest
/// sha256:…: not found`.
fn images(program: &Program, options: &[&str]) -> Result<Output, StoreError> {
    let mut attempts = 1..=ATTEMPTS;
    loop {
        attempts.next();
        match program.run(&[&["images"], options].concat(), None) {
            Err(failure) if is_of_engine(&failure) && !attempts.is_empty() => {}
            other => return other,
        }
    }
}

/// As [`inspect`], of any number.
pub(super) fn inspect_all(program: &Program, ids: &[&str]) -> Result<Inventory, StoreError> {
    let mut all = Inventory::default();
    for batch in ids.chunks(BATCH) {
        let Inventory { images, unreadable } = inspect(program, batch)?;
        all.images.extend(images);
        all.unreadable.extend(unreadable);
    }
    Ok(all)
}

/// The IDs of all images that are shown, with their names.
pub(super) fn names(program: &Program) -> Result<BTreeMap<ImageId, Vec<ImageRef>>, StoreError> {
    let output = images(program, &["--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"])?;
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

/// Inspects those of these images that are there; others went away since they were listed.
///
/// An image that is removed during the call fails in other words than one that was removed before (`layer does not
/// exist`, `unrecognized image ID`). The client prints the others all the same, so only the rest is asked for again.
pub(super) fn inspect(program: &Program, ids: &[&str]) -> Result<Inventory, StoreError> {
    let mut all = Inventory::default();
    let mut rest = ids.to_vec();
    let mut attempts = 1..=ATTEMPTS;
    while attempts.next().is_some() {
        let output = program.output(&[&["image", "inspect"], &rest[..]].concat())?;
        let is_complete = output.success() || only_missing_images(&output.stderr);
        let found = match parse_inspect(&output.stdout) {
            found if is_complete => found?,
            found => match output.failure(None) {
                failure if is_of_engine(&failure) && !attempts.is_empty() => found.unwrap_or_default(),
                failure => return Err(failure),
            },
        };
        let unread = found.unreadable.iter().filter_map(|image| image.id);
        let printed: HashSet<ImageId> = found.images.iter().map(|image| image.id).chain(unread).collect();
        all.images.extend(found.images);
        all.unreadable.extend(found.unreadable);
        rest.retain(|id| id.parse().map_or(true, |id| !printed.contains(&id)));
        if is_complete || rest.is_empty() {
            break;
        }
    }
    Ok(all)
}

/// Reads what `docker image inspect` or `podman image inspect` prints.
///
/// Digests of configs are not in it: the caller knows whether an ID is that of a config.
pub fn parse_inspect(json: &[u8]) -> Result<Inventory, StoreError> {
    let broken = |reason: String| StoreError::Broken { what: "the output of `image inspect`".into(), reason };
    if json.iter().all(u8::is_ascii_whitespace) {
        return Ok(Inventory::default());
    }
    let list: Value = serde_json::from_slice(json).map_err(|error| broken(format!("not JSON: {error}")))?;
    let list = list.as_array().ok_or_else(|| broken("not a list".into()))?;
    let mut all = Inventory::default();
    for image in list {
        let names = parse_names(image);
        match parse_image(image, &names) {
            Ok(image) => all.images.push(image),
            Err(field) => all.unreadable.push(Unreadable {
                id: image.get("Id").and_then(Value::as_str).and_then(|id| id.parse().ok()),
                names,
                reason: format!("the engine's `image inspect` gives no usable '{field}' for it"),
            }),
        }
    }
    Ok(all)
}

fn parse_names(json: &Value) -> Vec<ImageRef> {
    let tags = json.get("RepoTags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // `<none>:<none>` and what else is no name for a new tag is passed over.
    let mut names: Vec<ImageRef> = tags.iter().filter_map(|tag| tag.as_str()?.parse().ok()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn parse_image(json: &Value, names: &[ImageRef]) -> Result<Image, &'static str> {
    let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |pointer: &str| json.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice);
    let layers = list("/RootFS/Layers").unwrap_or_default();
    let diff_ids: Option<Vec<DiffId>> = layers.iter().map(|id| id.as_str()?.parse().ok()).collect();
    let known = list("/RepoDigests").unwrap_or_default();
    let mut digests: Vec<Digest> =
        known.iter().filter_map(|known| known.as_str()?.rsplit_once('@')?.1.parse().ok()).collect();
    digests.sort_unstable();
    digests.dedup();
    Ok(Image {
        id: text("Id").parse().map_err(|_| "Id")?,
        config: None,
        names: names.to_vec(),
        digests,
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

    fn inventory(json: &str) -> Inventory {
        parse_inspect(json.replace("$ID", ID).replace("$LAYER", LAYER).as_bytes()).unwrap()
    }

    fn parse(json: &str) -> Vec<Image> {
        let Inventory { images, unreadable } = inventory(json);
        assert_eq!(unreadable, []);
        images
    }

    fn expected(names: &[&str], size: u64) -> Image {
        Image {
            id: ID.parse().unwrap(),
            config: None,
            digests: Vec::new(),
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
    fn registries_know_images_by_other_digests() {
        let digest = LAYER.replace("56795", "00000");
        let images = parse(&format!(
            r#"[{{"Id":"$ID","RepoDigests":["reg.example:5000/a@{digest}","b@{digest}","c"],"RootFS":{{"Layers":["$LAYER"]}}}}]"#
        ));
        assert_eq!(images[0].digests, [digest.parse().unwrap()]);
    }

    #[test]
    fn an_image_that_cannot_be_read_leaves_the_others() {
        let Inventory { images, unreadable } = inventory(
            r#"[{"Id":"x","RepoTags":["a:1"]},{"Id":"$ID","RootFS":{"Layers":["x"]}},{"Id":"$ID","RootFS":{"Layers":["$LAYER"]}}]"#,
        );
        assert_eq!(images.len(), 1);
        assert_eq!((&unreadable[0].id, &unreadable[0].names[..]), (&None, &["a:1".parse().unwrap()][..]));
        assert!(unreadable[0].reason.contains("'Id'"), "{}", unreadable[0].reason);
        assert_eq!(unreadable[1].id, Some(ID.parse().unwrap()));
        assert!(unreadable[1].reason.contains("'RootFS.Layers'"), "{}", unreadable[1].reason);
    }

    #[test]
    fn what_is_no_inspection_is_an_error() {
        for json in ["x", "{}"] {
            assert!(parse_inspect(json.as_bytes()).is_err(), "{json}");
        }
    }

    /// A client that is a script; its arguments are `$1` and so on.
    fn client(script: &str) -> Program {
        let words = ["sh", "-c", script, "docker"].map(str::to_owned);
        Program::find(&words).unwrap()
    }

    #[test]
    fn an_image_that_went_away_meanwhile_is_no_failure() {
        let id = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let [one, two] = [id("1"), id("2")];
        let script = |end: &str| {
            client(&format!(
                r#"case $1 in
                images) printf '{one}\n\n{two}\n{one}\n';;
                image) echo '[{{"Id":"{two}","RootFS":{{}}}}]'; {end};;
                esac"#
            ))
        };
        let gone = script(&format!("echo 'Error: No such image: {one}' >&2; exit 1"));
        let ids = |inventory: Inventory| -> Vec<String> {
            inventory.images.iter().map(|image| image.id.to_string()).collect()
        };
        assert_eq!(ids(list(&gone).unwrap()), std::slice::from_ref(&two));
        for reason in ["Cannot connect to the Docker daemon", "No such image: x\nunexpected EOF"] {
            let failed = script(&format!("printf '{reason}\n' >&2; exit 1"));
            assert!(list(&failed).is_err(), "{reason}: a list that is cut is no list");
        }
    }

    #[test]
    fn an_image_that_goes_during_the_call_is_no_failure() {
        let id = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let [one, two, three] = [id("1"), id("2"), id("3")];
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        // The first call meets the removal of the second image; the next one is about the two that were not printed.
        let client = client(&format!(
            r#"shift 2; echo $# >>'{log}'
            case $# in
            3) echo '[{{"Id":"{one}","RootFS":{{"Layers":["x"]}}}}]'; echo 'Error response from daemon: layer does not exist' >&2;;
            2) echo '[{{"Id":"{three}","RootFS":{{}}}}]'; echo 'Error: No such image: {two}' >&2;;
            esac; exit 1"#,
            log = log.display()
        ));
        let Inventory { images, unreadable } = inspect(&client, &[&one, &two, &three]).unwrap();
        assert_eq!(images.iter().map(|image| image.id.to_string()).collect::<Vec<_>>(), [three]);
        let unreadable = unreadable.iter().filter_map(|image| image.id).map(|id| id.to_string());
        assert_eq!(unreadable.collect::<Vec<_>>(), [one], "it was printed, and is listed once");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "3\n2\n");
    }

    #[test]
    fn a_list_is_asked_for_again_when_an_image_goes_during_the_call() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("first");
        let client = client(&format!(
            r#"if [ -e '{first}' ]; then echo '{ID} a:1'; else
            >'{first}'; echo 'NotFound: content digest {LAYER}: not found' >&2; exit 1; fi"#,
            first = first.display()
        ));
        assert_eq!(names(&client).unwrap().len(), 1);
    }

    #[test]
    fn an_engine_that_goes_on_failing_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let failing = |reason: &str| {
            let client = client(&format!("echo x >>'{}'; echo '{reason}' >&2; exit 1", log.display()));
            inspect(&client, &[ID]).unwrap_err()
        };
        let broken = client("echo broken >&2; exit 1");
        assert!(names(&broken).unwrap_err().to_string().contains("broken"));
        assert!(failing("layer does not exist").to_string().contains("layer does not exist"));
        let calls = || std::fs::read_to_string(&log).unwrap().lines().count();
        assert_eq!(calls(), ATTEMPTS as usize);
        let killed = client(&format!("echo x >>'{}'; kill -TERM $$", log.display()));
        assert!(inspect(&killed, &[ID]).is_err());
        assert_eq!(calls(), ATTEMPTS as usize + 1, "a client that is killed is not run again");
        assert!(matches!(failing("Cannot connect to the Docker daemon"), StoreError::Down { .. }));
        assert_eq!(calls(), ATTEMPTS as usize + 2, "an engine that is down is asked once");
    }

    #[test]
    fn arguments_stay_below_the_limits_of_systems() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        // The words `image` and `inspect` count as well.
        let client = client(&format!("echo $# >>'{}'; echo '[]'", log.display()));
        let ids = vec![ID; 2 * BATCH + 1];
        assert_eq!(inspect_all(&client, &ids).unwrap(), Inventory::default());
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "1002\n1002\n3\n");
        inspect_all(&client, &[]).unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 3, "nothing is asked for nothing");
    }

    #[test]
    fn names_of_one_image_come_together() {
        let output = format!("{ID} b:2\n{ID} <none>:<none>\n{LAYER} <none>:<none>\n\n{ID} a:1\n{ID} b:2\n");
        let names = names(&client(&format!("printf '{output}'"))).unwrap();
        let shown: Vec<(String, Vec<String>)> = names
            .iter()
            .map(|(id, names)| (id.to_string(), names.iter().map(ToString::to_string).collect()))
            .collect();
        assert_eq!(shown, [(ID.into(), vec!["a:1".into(), "b:2".into()]), (LAYER.into(), Vec::new())]);
        let error = super::names(&client("echo 'WARNING: something is odd'")).unwrap_err().to_string();
        assert!(error.contains("\"WARNING:\" is no image ID"), "{error}");
    }

    #[test]
    fn fields_of_other_types_are_as_absent_ones() {
        let images = parse(
            r#"[{"Id":"$ID","RepoTags":null,"RepoDigests":null,"Created":null,"Size":-1,"RootFS":{"Layers":null}},
                {"Id":"$ID","RepoTags":[1,null,"a:1","a:1","UPPER:1"],"Size":"7","Os":3,"RootFS":{"Layers":["$LAYER"]}}]"#,
        );
        assert_eq!((images[0].size, &images[0].created[..], images[0].names.len()), (0, "", 0));
        assert_eq!(images[1].names, ["a:1".parse().unwrap()]);
        assert_eq!(images[1].platform.to_string(), "unknown/unknown");
        let unreadable = inventory(r#"[{"Id":"$ID","RootFS":{"Layers":["$LAYER",1]}},{},7]"#).unreadable;
        assert_eq!(unreadable.len(), 3, "a layer without a diff id, an object without an ID, a number");
    }
}
