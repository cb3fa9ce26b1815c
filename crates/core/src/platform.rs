//! The platform an image is for.

use std::fmt;
use std::str::FromStr;

/// Operating system, architecture and, for some architectures, its variant: `linux/arm/v7`.
///
/// Either may be empty: some builders leave them out, and engines take such images.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// As Go names it: `linux`, `windows`; empty where the config does not say.
    pub os: String,
    /// As Go names it: `amd64`, `arm64`; empty where the config does not say.
    pub architecture: String,
    /// `v7` of `linux/arm/v7`; empty where there is none.
    pub variant: String,
}

impl Platform {
    /// True if an image for `self` satisfies `--platform wanted`.
    ///
    /// A wanted platform without a variant takes any variant.
    pub fn satisfies(&self, wanted: &Platform) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_empty() || self.variant == wanted.variant)
    }

    /// True if a host of this platform's kind may run images of `self` by itself: where a part is not told, or a CPU runs
    /// the programs of older ones, it counts as one that does. Variants are not compared.
    pub fn runs_on(&self, host: &Platform) -> bool {
        let is_told = [self, host].iter().all(|one| !one.os.is_empty() && !one.architecture.is_empty());
        let older = [("386", "amd64"), ("arm", "arm64")];
        let pair = (&self.architecture[..], &host.architecture[..]);
        !is_told || self.os == host.os && (pair.0 == pair.1 || older.contains(&pair))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |part: &str| if part.is_empty() { "unknown".to_owned() } else { part.to_owned() };
        write!(f, "{}/{}", known(&self.os), known(&self.architecture))?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, ""),
            [os, architecture, variant] => (os, architecture, variant),
            _ => {
                return Err(format!(
                    "'{text}' is not a platform: expected OS/ARCH or OS/ARCH/VARIANT, as linux/arm64"
                ));
            }
        };
        if parts.iter().any(|p| p.is_empty()) {
            return Err(format!("'{text}' is not a platform: a part of it is empty"));
        }
        Ok(Platform { os: os.into(), architecture: architecture.into(), variant: variant.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in ["linux/amd64", "linux/arm/v7"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "linux/", "/amd64", "a/b/c/d"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_platform_that_is_not_told_is_unknown() {
        assert_eq!(Platform::default().to_string(), "unknown/unknown");
        let linux = Platform { os: "linux".into(), ..Platform::default() };
        assert_eq!(linux.to_string(), "linux/unknown");
        assert!(!linux.satisfies(&"linux/amd64".parse().unwrap()));
    }

    #[test]
    fn a_host_runs_what_it_is_not_known_not_to_run() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        for (image, host, runs) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64/v3", "linux/amd64", true),
            ("linux/386", "linux/amd64", true),
            ("linux/arm/v7", "linux/arm64", true),
            ("linux/amd64", "linux/386", false),
            ("linux/arm64", "linux/amd64", false),
            ("windows/amd64", "linux/amd64", false),
        ] {
            assert_eq!(platform(image).runs_on(&platform(host)), runs, "{image} on {host}");
        }
        assert!(Platform::default().runs_on(&platform("linux/amd64")));
        assert!(platform("linux/arm64").runs_on(&Platform::default()));
    }

    #[test]
    fn a_variant_matters_only_when_asked_for() {
        let v7: Platform = "linux/arm/v7".parse().unwrap();
        assert!(v7.satisfies(&"linux/arm".parse().unwrap()));
        assert!(!v7.satisfies(&"linux/arm/v6".parse().unwrap()));
        assert!(!v7.satisfies(&"linux/arm64".parse().unwrap()));
    }
}
