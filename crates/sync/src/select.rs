//! Which images the user means. Pure; the endpoint filters with it, the client names entries with it.

use dsync_core::{Image, ImageId, ImageRef, Pattern, Unreadable};

/// An `IMAGE` argument: a name, a glob over names, or an image ID.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    text: String,
    pattern: Option<Pattern>,
    id: Option<String>,
}

impl Selector {
    pub(crate) fn parse(text: &str) -> Result<Selector, String> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let hex = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let id = (hex && (6..=64).contains(&digits.len())).then(|| digits.to_owned());
        match (text.parse::<Pattern>(), id) {
            (Err(error), None) => Err(error.to_string()),
            (pattern, id) => Ok(Selector { text: text.into(), pattern: pattern.ok(), id }),
        }
    }

    /// As the user wrote it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn names(&self, name: &ImageRef) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.matches(name))
    }

    pub(crate) fn identifies(&self, id: &ImageId) -> bool {
        self.id.as_ref().is_some_and(|digits| id.hex().starts_with(digits))
    }

    /// Whether the image is meant by its full ID, and not by a name or the beginning of an ID.
    pub(crate) fn pins(&self, id: &ImageId) -> bool {
        self.id.as_ref().is_some_and(|digits| *digits == id.hex())
    }

    /// Whether an image that cannot be read is meant.
    pub(crate) fn selects_unreadable(&self, image: &Unreadable) -> bool {
        image.names.iter().any(|name| self.names(name)) || image.id.is_some_and(|id| self.identifies(&id))
    }

    /// Whether the image is meant, by name or by ID.
    pub(crate) fn selects(&self, image: &Image) -> bool {
        image.names.iter().any(|name| self.names(name)) || self.identifies(&image.id)
    }
}

/// The names under which an image is meant: all that it has where nothing was selected. An image that is
/// meant by its ID alone has one entry without a name.
pub(crate) fn names(selectors: &[Selector], image: &Image) -> Vec<Option<ImageRef>> {
    if selectors.is_empty() {
        return image.names.iter().cloned().map(Some).collect();
    }
    let named: Vec<_> = image
        .names
        .iter()
        .filter(|name| selectors.iter().any(|selector| selector.names(name)))
        .cloned()
        .map(Some)
        .collect();
    if named.is_empty() && selectors.iter().any(|selector| selector.identifies(&image.id)) {
        return vec![None];
    }
    named
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
        // What looks like an ID is still a name first.
        assert_eq!(selected(&["2d711642b726"], &image(&["2d711642b726:latest"])), ["2d711642b726:latest"]);
        assert!(Selector::parse("No Name").is_err());
    }

    #[test]
    fn near_names_are_offered() {
        let names: Vec<String> = ["redis:latest", "redis:7", "mongo:latest"].map(String::from).into();
        assert_eq!(close("rediss", &names), ["redis:7", "redis:latest"]);
        assert_eq!(close("redis", &["redis:7".into()]), ["redis:7"]);
        assert!(close("nginx", &names).is_empty());
    }
}
