//! The selection of images by the user. Pure; the endpoint filters with it, the client names entries with it.

use dsync_core::{Digest, Image, ImageId, ImageRef, Pattern, Unreadable};

/// By which digest of its own an image was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pin {
    /// By none: by a name, or by the beginning of an ID.
    None,
    /// By that of a manifest in a registry, which the source's engine knows it by.
    Registry,
    /// By that of its config.
    Config,
    /// By its ID.
    Id,
}

/// An `IMAGE` argument: a name, a glob over names, an image ID, or a name with a digest.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    text: String,
    pattern: Option<Pattern>,
    /// Hex digits, of which an ID may have more.
    id: Option<String>,
    /// The name that the image is to have on the target, instead of its own.
    new_name: Option<ImageRef>,
}

impl Selector {
    /// Reads `IMAGE` or `IMAGE=NEWNAME`.
    pub(crate) fn parse(text: &str) -> Result<Selector, String> {
        let (text, new_name) = match text.split_once('=') {
            Some((image, name)) => {
                (image, Some(name.parse::<ImageRef>().map_err(|error| error.to_string())?))
            }
            None => (text, None),
        };
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let id = (hex && (6..=64).contains(&digits.len())).then(|| digits.to_owned());
        match (text.parse::<Pattern>(), id) {
            (Err(error), None) => Err(error.to_string()),
            (pattern, id) => Ok(Selector { text: text.into(), pattern: pattern.ok(), id, new_name }),
        }
    }

    /// The image as the user wrote it, without a new name.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    fn matches(&self, name: &ImageRef) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.matches(name))
    }

    /// The digest that the image must have, where one was given with a name.
    pub(crate) fn digest(&self) -> Option<&Digest> {
        self.pattern.as_ref().and_then(Pattern::digest)
    }

    /// The digest that is meant, with a name or as a whole ID.
    pub(crate) fn full_digest(&self) -> Option<Digest> {
        let whole = || self.id.as_ref().filter(|digits| digits.len() == 64)?.parse().ok();
        self.digest().copied().or_else(whole)
    }

    /// The name beside a digest, or alone, where it is one.
    pub(crate) fn exact(&self) -> Option<&ImageRef> {
        self.pattern.as_ref().and_then(Pattern::exact)
    }

    /// The name that an image is to have because it was written beside its digest, or as a new one.
    pub(crate) fn given_name(&self) -> Option<&ImageRef> {
        self.new_name.as_ref().or_else(|| self.digest().and(self.exact()))
    }

    /// True if the image is meant by an ID: that which its store shows, or the digest of its config, which other stores
    /// show for it.
    fn identifies(&self, image: &Image) -> bool {
        let digits = self.id.as_deref();
        digits.is_some_and(|digits| {
            let is_config = |config: Digest| config.hex().starts_with(digits);
            image.id.hex().starts_with(digits) || image.config.is_some_and(is_config)
        })
    }

    /// By which digest of its own the image is meant, where it is given in full.
    pub(crate) fn pin(&self, image: &Image) -> Pin {
        let is_it = |digest: &Digest| match (self.digest(), &self.id) {
            (Some(own), _) => own == digest,
            (None, Some(digits)) => *digits == digest.hex(),
            (None, None) => false,
        };
        match image.config {
            _ if is_it(&image.id.digest()) => Pin::Id,
            Some(config) if is_it(&config) => Pin::Config,
            _ if self.digest().is_some_and(|digest| image.digests.contains(digest)) => Pin::Registry,
            _ => Pin::None,
        }
    }

    /// True if an image that cannot be read is meant.
    pub(crate) fn selects_unreadable(&self, image: &Unreadable) -> bool {
        let is_it = |id: ImageId| match self.digest() {
            Some(digest) => digest.as_bytes() == id.as_bytes(),
            None => self.id.as_ref().is_some_and(|digits| id.hex().starts_with(digits)),
        };
        image.names.iter().any(|name| self.matches(name)) || image.id.is_some_and(is_it)
    }

    /// True if the image is meant, by name, ID or digest.
    pub(crate) fn selects(&self, image: &Image) -> bool {
        match self.digest() {
            Some(digest) => is_known_by(image, digest),
            None => image.names.iter().any(|name| self.matches(name)) || self.identifies(image),
        }
    }

    /// True if the image has the name that was given, and not the digest.
    pub(crate) fn is_contradicted_by(&self, image: &Image) -> bool {
        self.digest().is_some() && !self.selects(image) && image.names.iter().any(|name| self.matches(name))
    }

    /// The names that the image is to have, of which it has all but one that was given to it.
    fn names(&self, image: &Image) -> Vec<ImageRef> {
        match self.digest() {
            _ if self.new_name.is_some() => {
                self.new_name.clone().filter(|_| self.selects(image)).into_iter().collect()
            }
            None => image.names.iter().filter(|name| self.matches(name)).cloned().collect(),
            Some(_) if self.selects(image) => self.exact().cloned().into_iter().collect(),
            Some(_) => Vec::new(),
        }
    }
}

/// True if a digest is of the image: its ID, its config, or a manifest by which registries know it.
fn is_known_by(image: &Image, digest: &Digest) -> bool {
    image.id.as_bytes() == digest.as_bytes()
        || image.config == Some(*digest)
        || image.digests.contains(digest)
}

/// The names under which an image is meant: all that it has where nothing was selected. An image that has none, or is
/// meant by its ID alone, has one entry without a name.
pub(crate) fn names(selectors: &[Selector], image: &Image) -> Vec<Option<ImageRef>> {
    let mut named: Vec<ImageRef> = match selectors {
        [] => image.names.clone(),
        _ => selectors.iter().flat_map(|selector| selector.names(image)).collect(),
    };
    named.sort_unstable();
    named.dedup();
    let is_meant = selectors.is_empty() || selectors.iter().any(|selector| selector.selects(image));
    match named.is_empty() && is_meant {
        true => vec![None],
        false => named.into_iter().map(Some).collect(),
    }
}

/// Names that the user may have meant instead, the nearest first, at most three.
pub(crate) fn close(wanted: &str, names: &[String]) -> Vec<String> {
    let repository = |name: &str| name.rsplit_once(':').map_or(name, |(name, _)| name).to_owned();
    let score = |name: &String| {
        let likeness = strsim::jaro_winkler(&repository(wanted), &repository(name));
        (likeness, strsim::jaro_winkler(wanted, name))
    };
    let mut scored: Vec<((f64, f64), &String)> = names.iter().map(|name| (score(name), name)).collect();
    scored.retain(|((likeness, _), _)| *likeness > 0.8);
    scored.sort_by(|((a, x), m), ((b, y), n)| {
        b.total_cmp(a).then_with(|| y.total_cmp(x)).then_with(|| m.cmp(n))
    });
    scored.into_iter().take(3).map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(names: &[&str]) -> Image {
        Image {
            id: ImageId::of(b"x"), // 2d711642b726…
            config: None,
            digests: Vec::new(),
            names: names.iter().map(|n| n.parse().unwrap()).collect(),
            diff_ids: Vec::new(),
            platform: "linux/amd64".parse().unwrap(),
            size: 0,
            created: String::new(),
        }
    }

    fn selected(selectors: &[&str], image: &Image) -> Vec<String> {
        let selectors: Vec<_> = selectors.iter().map(|s| Selector::parse(s).unwrap()).collect();
        names(&selectors, image).iter().map(|n| n.as_ref().map_or("-".into(), ToString::to_string)).collect()
    }

    #[test]
    fn names_globs_and_ids_select() {
        let both = image(&["shop/web:v1", "shop/web:v2"]);
        assert_eq!(selected(&[], &both), ["shop/web:v1", "shop/web:v2"]);
        assert_eq!(selected(&["shop/*:v2"], &both), ["shop/web:v2"]);
        assert!(selected(&["shop/web"], &both).is_empty());
        assert_eq!(selected(&["2d711642b726"], &both), ["-"]);
        assert_eq!(selected(&["sha256:2d711642b726"], &image(&[])), ["-"]);
        // A text that looks like an ID is still a name first.
        assert_eq!(selected(&["2d711642b726"], &image(&["2d711642b726:latest"])), ["2d711642b726:latest"]);
        assert!(Selector::parse("No Name").is_err());
        assert_eq!(selected(&[], &image(&[])), ["-"], "who lists it means it");
        // In a store whose IDs are those of manifests, the ID that others show is the config's.
        let config = Digest::of(b"config");
        let manifest = Image { config: Some(config), ..image(&["web:1"]) };
        assert_eq!(selected(&[&config.hex()[..12]], &manifest), ["-"]);
        assert_eq!(selected(&[&config.to_string(), "web:1"], &manifest), ["web:1"]);
        let pin = |text: &str| Selector::parse(text).unwrap().pin(&manifest);
        assert_eq!(pin(&config.to_string()), Pin::Config);
        assert_eq!(pin(&format!("web:1@{config}")), Pin::Config);
        assert_eq!(pin(&config.hex()[..12]), Pin::None);
    }

    #[test]
    fn a_digest_selects_and_a_tag_beside_it_is_a_name() {
        let id = Digest::of(b"x");
        let manifest = Digest::of(b"manifest");
        let image = Image { digests: vec![manifest], ..image(&["shop/web:v1", "shop/web:v2"]) };
        for digest in [id, manifest] {
            assert_eq!(selected(&[&format!("shop/web:v2@{digest}")], &image), ["shop/web:v2"]);
            assert_eq!(selected(&[&format!("other:1@{digest}")], &image), ["other:1"]);
            assert_eq!(selected(&[&format!("shop/web@{digest}")], &image), ["-"]);
            assert_eq!(selected(&[&format!("shop/web@{digest}"), "shop/web:v1"], &image), ["shop/web:v1"]);
            let pin = if digest == id { Pin::Id } else { Pin::Registry };
            assert_eq!(Selector::parse(&format!("other:1@{digest}")).unwrap().pin(&image), pin);
        }
        let other = format!("shop/web:v2@{}", Digest::of(b"other"));
        assert!(selected(&[&other], &image).is_empty());
        let other = Selector::parse(&other).unwrap();
        assert!(other.is_contradicted_by(&image) && !other.selects(&image) && other.pin(&image) == Pin::None);
        assert!(!Selector::parse("shop/web:v2").unwrap().is_contradicted_by(&image));
    }

    #[test]
    fn a_new_name_stands_for_those_of_the_image() {
        let image = image(&["shop/web:v1", "shop/web:v2"]);
        let id = image.id;
        for selector in
            ["shop/web:v2=web:prod", "shop/*:v1=web:prod", &format!("{}=web:prod", &id.hex()[..12])]
        {
            assert_eq!(selected(&[selector], &image), ["web:prod"], "{selector}");
        }
        assert_eq!(selected(&[&format!("shop/web:v2@{id}=web:prod")], &image), ["web:prod"]);
        assert_eq!(selected(&["shop/web:v2=web:prod", "shop/web:v2"], &image), ["shop/web:v2", "web:prod"]);
        assert!(selected(&["other:1=web:prod"], &image).is_empty());
        assert_eq!(Selector::parse("web:1=web:prod").unwrap().as_str(), "web:1");
        for wrong in ["web:1=", "web:1=web:*", "=web:1", "web:1=a=b"] {
            assert!(Selector::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn near_names_are_offered() {
        let names: Vec<String> = ["redis:latest", "redis:7", "mongo:latest"].map(String::from).into();
        assert_eq!(close("rediss", &names), ["redis:7", "redis:latest"]);
        assert_eq!(close("redis", &["redis:7".into()]), ["redis:7"]);
        assert!(close("nginx", &names).is_empty());
    }

    #[test]
    fn only_six_to_64_small_hex_digits_are_an_id() {
        let id = ImageId::of(b"x").hex();
        let image = image(&["web:1"]);
        for (text, is_meant) in [
            (&id[..6], true),
            (&id[..64], true),
            (&id[..5], false),
            (&format!("{id}0"), false),
            (&id[..12].to_uppercase(), false),
            (&format!("sha256:{}", &id[..6]), true),
            (&format!("sha512:{}", &id[..6]), false),
            (&id[1..20], false),
        ] {
            let selected = Selector::parse(text).is_ok_and(|selector| selector.selects(&image));
            assert_eq!(selected, is_meant, "{text}");
        }
    }

    #[test]
    fn several_patterns_mean_an_image_under_each_name_once() {
        let image = image(&["shop/web:v2", "shop/web:v1", "shop/api:v1", "tools:1"]);
        assert_eq!(
            selected(&["shop/web:*", "shop/*:v1"], &image),
            ["shop/api:v1", "shop/web:v1", "shop/web:v2"]
        );
        assert_eq!(selected(&["2d711642b726", "tools:1"], &image), ["tools:1"], "a name is more than an ID");
        assert!(selected(&["other:1", "no/*"], &image).is_empty());
    }

    #[test]
    fn an_image_that_cannot_be_read_is_meant_by_its_name_its_id_or_its_digest() {
        let id = ImageId::of(b"x");
        let unreadable = |id| Unreadable { id, names: vec!["web:1".parse().unwrap()], reason: "why".into() };
        let is_meant = |text: &str, id| Selector::parse(text).unwrap().selects_unreadable(&unreadable(id));
        assert!(is_meant("web:*", None) && is_meant(&id.hex()[..12], Some(id)));
        assert!(is_meant(&format!("other:1@{id}"), Some(id)));
        assert!(!is_meant(&id.hex()[..12], None), "its ID is not known");
        assert!(!is_meant("other:1", Some(id)) && !is_meant(&Digest::of(b"y").hex()[..12], Some(id)));
        assert!(!is_meant(&format!("other:1@{}", Digest::of(b"y")), Some(id)));
    }
}
