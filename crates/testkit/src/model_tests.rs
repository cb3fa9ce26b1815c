//! The model notices what it is there for: each test breaks one thing of a layout that was right.

use super::*;
use crate::files::LayerSpec;
use crate::image::{ImageSpec, Item};
use crate::{Files, Packing, Wrap};

const NAME: &str = "shop/web:1";

fn image(seed: u32) -> ImageSpec {
    ImageSpec::of(vec![LayerSpec::text(seed, 500), LayerSpec::Empty]).packed(Packing::Go(6))
}

fn write(items: &[Item], dir: &Path) -> Snapshot {
    let built: Vec<Built> = items.iter().map(Item::build).collect();
    fs::remove_dir_all(dir).ok();
    Files::Layout.write(Wrap::None, &built, dir).unwrap();
    Snapshot::read(dir).unwrap()
}

/// A layout before, and one that has the wanted image in the place of the old one.
fn pair(dir: &Path) -> (Snapshot, Snapshot, [What; 2]) {
    let (old, new) = (image(1), image(2));
    let before = write(&[Item::named(NAME, old.clone())], dir);
    let nameless = Item { names: Vec::new(), ..Item::named(NAME, old) };
    let after = write(&[nameless, Item::named(NAME, new.clone())], dir);
    let built = Item::named(NAME, new).build();
    (before, after, [What::root(&built), What::content(&built.images[0])])
}

fn wanted(what: &What) -> [Wanted; 1] {
    [Wanted::new(Some(NAME.to_owned()), what.clone())]
}

#[test]
fn what_is_right_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let (before, after, whats) = pair(dir.path());
    for what in &whats {
        assert_eq!(before.check_holds(&after, &wanted(what)), Ok(()));
        assert!(after.is_named(NAME, what) && after.holds(what) && !before.holds(what));
    }
    assert_eq!(before.check_unchanged(&before), Ok(()));
    let nothing = Snapshot::read(&dir.path().join("nothing")).unwrap();
    assert!(nothing.is_empty() && !before.is_empty());
}

#[test]
fn a_name_that_did_not_move_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (before, after, whats) = pair(dir.path());
    for what in &whats {
        assert!(before.check_holds(&before, &wanted(what)).unwrap_err().contains("does not hold"));
    }
    assert!(before.check_unchanged(&after).unwrap_err().contains("has changed"));
}

#[test]
fn a_lost_image_a_moved_name_and_a_new_name_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (_, after, [what, _]) = pair(dir.path());
    let other = Item::named("shop/api:1", image(3));
    let before = write(std::slice::from_ref(&other), dir.path());
    assert!(before.check_holds(&after, &wanted(&what)).unwrap_err().contains("has lost"));
    let new = Item { names: vec![NAME.to_owned(), "shop/api:1".to_owned()], ..Item::named("", image(2)) };
    let old = Item { names: Vec::new(), ..other.clone() };
    let after = write(&[new.clone(), old], dir.path());
    assert!(before.check_holds(&after, &wanted(&what)).unwrap_err().contains("not asked for"));
    let after =
        write(&[other.clone(), Item { names: vec![NAME.into(), "shop/x:1".into()], ..new }], dir.path());
    assert!(before.check_holds(&after, &wanted(&what)).unwrap_err().contains("new name"));
    let after = write(
        &[other, Item::named(NAME, image(2)), Item { names: Vec::new(), ..Item::named("", image(4)) }],
        dir.path(),
    );
    assert!(before.check_holds(&after, &wanted(&what)).unwrap_err().contains("another new image"));
}

#[test]
fn another_config_over_the_same_layers_is_another_image() {
    let dir = tempfile::tempdir().unwrap();
    let (before, _, whats) = pair(dir.path());
    let nameless = Item { names: Vec::new(), ..Item::named(NAME, image(1)) };
    let alike = Item::named(NAME, image(2).with(|config| config.env = 1));
    let after = write(&[nameless, alike], dir.path());
    for what in &whats {
        assert!(before.check_holds(&after, &wanted(what)).unwrap_err().contains("does not hold"));
    }
}

#[test]
fn the_same_content_in_another_packing_is_not_the_same_root() {
    let dir = tempfile::tempdir().unwrap();
    let (before, _, [root, content]) = pair(dir.path());
    let nameless = Item { names: Vec::new(), ..Item::named(NAME, image(1)) };
    let after = write(&[nameless, Item::named(NAME, image(2).packed(Packing::Plain))], dir.path());
    assert_eq!(before.check_holds(&after, &wanted(&content)), Ok(()));
    assert!(before.check_holds(&after, &wanted(&root)).unwrap_err().contains("does not hold"));
}

#[test]
fn what_the_index_says_besides_must_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (before, after, [root, _]) = pair(dir.path());
    assert_eq!(before.check_holds(&after, &wanted(&root)), Ok(()));
    let file = dir.path().join("index.json");
    let text = fs::read_to_string(&file).unwrap();
    for (kept, lost) in
        [("\"org.example.kept\":\"index\"", "\"a\":\"b\""), ("\"org.example.kept\":\"sha", "\"other\":\"sha")]
    {
        fs::write(&file, text.replacen(kept, lost, 1)).unwrap();
        let after = Snapshot::read(dir.path()).unwrap();
        let problem = before.check_holds(&after, &wanted(&root)).unwrap_err();
        assert!(problem.contains("has lost"), "{problem}");
    }
}

#[test]
fn strays_and_damage_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (before, _, [root, _]) = pair(dir.path());
    let blobs = dir.path().join("blobs/sha256");
    let stray = blobs.join(hex(&sha256(b"stray")));
    fs::write(&stray, "stray").unwrap();
    let after = Snapshot::read(dir.path()).unwrap();
    assert!(before.check_holds(&after, &wanted(&root)).unwrap_err().contains("no image names"));
    fs::write(&stray, "other").unwrap();
    assert!(Snapshot::read(dir.path()).unwrap_err().contains("the blob"));
    fs::rename(&stray, blobs.join(".docker-sync-x")).unwrap();
    assert!(Snapshot::read(dir.path()).is_err());
    fs::remove_file(blobs.join(".docker-sync-x")).unwrap();
    fs::write(dir.path().join(".index"), "x").unwrap();
    assert!(Snapshot::read(dir.path()).unwrap_err().contains("does not belong"));
    fs::remove_file(dir.path().join(".index")).unwrap();
    let layer = Item::named(NAME, image(2)).build().images[0].stored[0].1.clone();
    fs::remove_file(blobs.join(hex(&sha256(&layer)))).unwrap();
    let after = Snapshot::read(dir.path()).unwrap();
    assert!(before.check_holds(&after, &wanted(&root)).unwrap_err().contains("does not hold"));
}
