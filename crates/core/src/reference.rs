//! Image names as people write them, and patterns over them.

use std::fmt;
use std::str::FromStr;

use crate::Digest;

/// `NAME:TAG` in the familiar form: `redis:latest`, not `docker.io/library/redis:latest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    name: String,
    tag: String,
}

/// A text that cannot be an image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// See the distribution specification's grammar: lower case, digits, and `. _ - /` between.
    #[error("'{0}' is not an image name: expected NAME[:TAG], lower-case, as shop/web:v2")]
    Name(String),
    /// Wrong letters, or more than 128 of them.
    #[error(
        "'{0}' has no valid tag: up to 128 letters, digits, '_', '.', '-', not beginning with '.' or '-'"
    )]
    Tag(String),
    /// Not a glob.
    #[error("'{0}' is not a valid pattern")]
    Pattern(String),
    /// The digest after an `@`.
    #[error("'{0}' has no valid digest: expected NAME[:TAG]@sha256: and 64 hex digits")]
    Digest(String),
}

impl ImageRef {
    /// The repository, without the tag.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The form with registry and namespace that containerd and podman want: `docker.io/library/redis:latest`.
    pub fn qualified(&self) -> String {
        match (registry(&self.name), self.name.contains('/')) {
            (Some(_), _) => self.to_string(),
            (None, true) => format!("docker.io/{self}"),
            (None, false) => format!("docker.io/library/{self}"),
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

impl FromStr for ImageRef {
    type Err = ReferenceError;

    /// A name without a tag means `:latest`; `docker.io/` and `docker.io/library/` are dropped.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (name, tag) = split_tag(text);
        let name = familiar(name);
        let mut parts = name.split('/');
        if let Some(registry) = registry(name) {
            parts.next();
            if !is_registry(registry) {
                return Err(ReferenceError::Name(text.into()));
            }
        }
        if name.len() > 255 || !parts.all(is_path_component) {
            return Err(ReferenceError::Name(text.into()));
        }
        let tag = tag.unwrap_or("latest");
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let valid = (1..=128).contains(&tag.len())
            && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
            && word(tag.as_bytes()[0]);
        if !valid {
            return Err(ReferenceError::Tag(text.into()));
        }
        Ok(ImageRef { name: name.into(), tag: tag.into() })
    }
}

/// A selection by the user: one image, one by its digest (`web:v2@sha256:…`), or a glob over many (`'shop/*:v2'`).
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

#[derive(Debug, Clone)]
enum Matcher {
    Exact(ImageRef),
    /// The name, where a tag was given, and the digest.
    Digest(Option<ImageRef>, Digest),
    /// A whole name with its tag; and its two parts apart, where each is a glob.
    Glob(String, Option<(String, String)>),
}

impl Pattern {
    /// True if this selects the name, or has the name beside a digest.
    pub fn matches(&self, name: &ImageRef) -> bool {
        match &self.matcher {
            Matcher::Exact(exact) => exact == name,
            Matcher::Digest(exact, _) => exact.as_ref() == Some(name),
            Matcher::Glob(whole, parts) => {
                // `**` is any number of components only where no tag follows in the same one.
                fast_glob::glob_match(whole, name.to_string())
                    || parts.as_ref().is_some_and(|(path, tag)| {
                        fast_glob::glob_match(path, name.name()) && fast_glob::glob_match(tag, name.tag())
                    })
            }
        }
    }

    /// The one name that this is about, unless it is a glob or a digest without a tag.
    pub fn exact(&self) -> Option<&ImageRef> {
        match &self.matcher {
            Matcher::Exact(exact) => Some(exact),
            Matcher::Digest(exact, _) => exact.as_ref(),
            Matcher::Glob(..) => None,
        }
    }

    /// The digest that the image must have.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.matcher {
            Matcher::Digest(_, digest) => Some(digest),
            Matcher::Exact(_) | Matcher::Glob(..) => None,
        }
    }

    /// As the user wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Pattern {
    type Err = ReferenceError;

    /// `*` and `?` stay within one path component, `**` is any number of them, `[ab]` and `{a,b}` as in a
    /// shell; without a tag only `:latest` is meant, as everywhere. With a digest, that is what is meant, and a tag is
    /// only a name for it.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let matcher = if let Some((name, digest)) = text.split_once('@') {
            let valid = digest.starts_with("sha256:").then(|| digest.parse().ok()).flatten();
            let digest = valid.ok_or_else(|| ReferenceError::Digest(text.into()))?;
            let exact: ImageRef = name.parse()?;
            Matcher::Digest(split_tag(name).1.is_some().then_some(exact), digest)
        } else if let Ok(exact) = text.parse() {
            // The address of a registry may have brackets.
            Matcher::Exact(exact)
        } else if text.contains(['*', '?', '[', '{']) {
            if text.contains(char::is_whitespace) || !is_balanced(text) {
                return Err(ReferenceError::Pattern(text.into()));
            }
            let (name, tag) = split_tag(text);
            let (path, tag) = (familiar(name), tag.unwrap_or("latest"));
            let parts = (is_balanced(path) && is_balanced(tag)).then(|| (path.to_owned(), tag.to_owned()));
            Matcher::Glob(format!("{path}:{tag}"), parts)
        } else {
            Matcher::Exact(text.parse()?)
        };
        Ok(Pattern { text: text.into(), matcher })
    }
}

/// True if every bracket and brace of a glob is closed.
fn is_balanced(glob: &str) -> bool {
    let count = |c: char| glob.chars().filter(|&other| other == c).count();
    count('[') == count(']') && count('{') == count('}')
}

/// The tag is what follows the last colon, unless a slash comes after it (a registry's port).
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// Drops the registry and the namespace that are meant without them, unless what follows looks like a registry.
fn familiar(name: &str) -> &str {
    let name = name.strip_prefix("index.").filter(|rest| rest.starts_with("docker.io/")).unwrap_or(name);
    let path = name.strip_prefix("docker.io/").unwrap_or(name);
    match path.strip_prefix("library/").filter(|rest| !rest.contains('/')) {
        Some(official) => official,
        None if registry(path).is_some() => name,
        None => path,
    }
}

/// The first part of a name, where that is a registry and no namespace.
fn registry(name: &str) -> Option<&str> {
    let (first, _) = name.split_once('/')?;
    (first.contains(['.', ':']) || first == "localhost").then_some(first)
}

/// A host name or an IPv6 address in brackets, and a port (the grammar of `distribution/reference`).
fn is_registry(text: &str) -> bool {
    let alnum = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let all = bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        all && alnum(bytes.first()) && alnum(bytes.last())
    };
    let (host, port) = text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).unwrap_or((text, "1"));
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(is_label),
    };
    is_host && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// Lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between.
fn is_path_component(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    alnum(*first)
        && alnum(*last)
        && bytes.iter().all(|&b| alnum(b) || matches!(b, b'.' | b'_' | b'-'))
        && !text.contains("..")
        && !text.contains("___")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> String {
        text.parse::<ImageRef>().unwrap().to_string()
    }

    #[test]
    fn names_become_familiar() {
        assert_eq!(parse("redis"), "redis:latest");
        assert_eq!(parse("docker.io/library/redis:7"), "redis:7");
        assert_eq!(parse("library/redis:7"), "redis:7");
        assert_eq!(parse("docker.io/shop/web:v2"), "shop/web:v2");
        assert_eq!(parse("localhost:5000/web"), "localhost:5000/web:latest");
        assert_eq!(parse("ghcr.io/a/b_c/d--e:X.1"), "ghcr.io/a/b_c/d--e:X.1");
        assert_eq!(parse("[2001:db8::1]:5000/web"), "[2001:db8::1]:5000/web:latest");
    }

    #[test]
    fn a_familiar_name_is_of_no_other_registry() {
        for text in ["docker.io/localhost/web:1", "docker.io/docker.io/web:1", "docker.io/x.example/web:1"] {
            assert_eq!((parse(text), parse(&parse(text))), (text.to_owned(), text.to_owned()));
            assert_eq!(parse(&format!("index.{text}")), text);
        }
    }

    #[test]
    fn names_become_qualified() {
        let qualified = |text: &str| text.parse::<ImageRef>().unwrap().qualified();
        assert_eq!(qualified("redis"), "docker.io/library/redis:latest");
        assert_eq!(qualified("shop/web:v2"), "docker.io/shop/web:v2");
        assert_eq!(qualified("localhost/web:v2"), "localhost/web:v2");
        assert_eq!(qualified("ghcr.io/web:v2"), "ghcr.io/web:v2");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", ":", "a:", "A", "a b", "-a", "a//b", "a:.x", "a:é", "$(x)", "a..b", "x.y:z/a", "a\n"]
        {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
        // An engine's client would take it for an option.
        for text in
            ["-H1.2.3.4:2375/a", "--x.y/a", "x-.y/a", "x..y/a", ".y/a", "x./a", "[/a:5", "[::1/a", "[]:5/a"]
        {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
        assert!(format!("a:{}", "x".repeat(129)).parse::<ImageRef>().is_err());
    }

    #[test]
    fn patterns_select() {
        let matches =
            |pattern: &str, name: &str| pattern.parse::<Pattern>().unwrap().matches(&name.parse().unwrap());
        assert!(matches("redis", "redis:latest"));
        assert!(!matches("redis", "redis:7"));
        assert!(matches("shop/*:v2", "shop/web:v2"));
        assert!(!matches("shop/*:v2", "shop/a/b:v2"));
        assert!(matches("**/*:v2", "shop/a/b:v2"));
        for pattern in ["**:v2", "shop/**:v2", "**:v?"] {
            assert!(matches(pattern, "shop/a/b:v2") && !matches(pattern, "shop/a/b:1"), "{pattern}");
        }
        assert!(matches("redis:*", "redis:7"));
        assert!(matches("docker.io/shop/{web,api}", "shop/api:latest"));
        assert!(matches("[2001:db8::1]:5000/web", "[2001:db8::1]:5000/web"), "no class of characters");
        assert!("[".parse::<Pattern>().is_err());
    }

    #[test]
    fn a_digest_is_what_is_meant() {
        let digest = Digest::of(b"manifest");
        let parse = |text: String| text.parse::<Pattern>();
        let tagged = parse(format!("docker.io/shop/web:v2@{digest}")).unwrap();
        assert_eq!(tagged.digest(), Some(&digest));
        assert_eq!(tagged.exact().unwrap().to_string(), "shop/web:v2");
        assert!(tagged.matches(&"shop/web:v2".parse().unwrap()));
        let bare = parse(format!("localhost:5000/web@{digest}")).unwrap();
        assert_eq!((bare.digest(), bare.exact()), (Some(&digest), None));
        assert!(!bare.matches(&"localhost:5000/web:latest".parse().unwrap()));
        let hex = digest.hex();
        for digest in [&hex[..], "sha256:12", "", &format!("sha512:{hex}{hex}"), &format!("sha256:{hex}@x")] {
            assert!(matches!(parse(format!("web:1@{digest}")), Err(ReferenceError::Digest(_))), "{digest}");
        }
        assert!(matches!(parse(format!("Web@{digest}")), Err(ReferenceError::Name(_))));
        assert!(parse(format!("web/*:1@{digest}")).is_err(), "a digest has no pattern");
    }
}
