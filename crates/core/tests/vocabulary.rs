//! The vocabulary as other crates use it: what mutations of the code left unnoticed.

use dsync_core::{DiffId, Digest, Image, ImageId, ImageRef, Inventory, Pattern, Platform, shared_prefix};

fn name(text: &str) -> ImageRef {
    text.parse().expect("it is a name")
}

fn image(names: &[&str]) -> Image {
    Image {
        id: ImageId::of(b"image"),
        config: None,
        names: names.iter().map(|text| name(text)).collect(),
        digests: Vec::new(),
        diff_ids: Vec::new(),
        platform: Platform::default(),
        size: 0,
        created: String::new(),
    }
}

#[test]
fn an_image_has_its_names_and_no_others() {
    let image = image(&["web:1", "shop/web:latest"]);
    assert!(image.is_named(&name("web:1")) && image.is_named(&name("docker.io/shop/web")));
    assert!(!image.is_named(&name("web:2")) && !image.is_named(&name("web")));
}

#[test]
fn images_are_an_inventory_in_which_all_can_be_read() {
    let all = vec![image(&["web:1"]), image(&[])];
    let inventory = Inventory::from(all.clone());
    assert_eq!(inventory, Inventory { images: all, unreadable: Vec::new() });
}

#[test]
fn stacks_share_the_layers_that_are_the_same_from_the_lowest_on() {
    let [a, b, c, d] = [b"a", b"b", b"c", b"d"].map(|layer| DiffId::of(layer));
    assert_eq!(shared_prefix(&[a, b, c], &[a, b, d]), 2);
    assert_eq!(shared_prefix(&[a, b, c], &[a, b, c]), 3);
    assert_eq!(shared_prefix(&[a, b], &[a, b, c]), 2);
    assert_eq!(shared_prefix(&[b, c], &[a, b, c]), 0, "what is shared above does not count");
    assert_eq!(shared_prefix(&[a, b, c], &[a, d, c]), 1);
    assert_eq!(shared_prefix(&[], &[a]), 0);
}

#[test]
fn a_name_has_a_repository_and_a_tag() {
    let parts = |text: &str| {
        let name = name(text);
        (name.name().to_owned(), name.tag().to_owned())
    };
    assert_eq!(parts("docker.io/library/redis"), ("redis".to_owned(), "latest".to_owned()));
    assert_eq!(parts("localhost:5000/a/web:v2"), ("localhost:5000/a/web".to_owned(), "v2".to_owned()));
}

#[test]
fn names_and_tags_are_as_long_as_the_grammar_allows() {
    let of =
        |name: usize, tag: usize| format!("{}:{}", "n".repeat(name), "t".repeat(tag)).parse::<ImageRef>();
    assert!(of(255, 128).is_ok());
    assert!(of(256, 1).is_err() && of(400, 1).is_err());
    assert!(of(1, 129).is_err());
}

#[test]
fn tags_and_registries_have_hyphens() {
    assert_eq!(name("web:v2-rc.1_x").tag(), "v2-rc.1_x");
    assert_eq!(name("my-host.example:5000/web:1").name(), "my-host.example:5000/web");
    for text in ["web:v2+1", "web:a b", "my+host.example/web", "my_host.example/web", "x.example:50a0/web"] {
        assert!(text.parse::<ImageRef>().is_err(), "{text}");
    }
}

#[test]
fn a_pattern_is_as_it_was_written_and_all_its_brackets_are_closed() {
    let pattern = |text: &str| text.parse::<Pattern>();
    for text in ["docker.io/redis", "shop/*:v2", "[ab]/{x,y}:1"] {
        assert_eq!(pattern(text).expect("it is a pattern").as_str(), text);
    }
    for text in ["shop/[ab:1", "shop/a]*", "shop/{a,b", "shop/a,b}*", "a *", "[a]{b", "{a}[b"] {
        assert!(pattern(text).is_err(), "{text}");
    }
}

#[test]
fn a_digest_is_its_bytes() {
    let bytes = std::array::from_fn(|at| (at * 37 + 5) as u8);
    let digest = Digest::from_bytes(bytes);
    assert_eq!(digest.hex().parse::<Digest>(), Ok(digest));
    assert_eq!(digest.as_bytes(), &bytes);
}
