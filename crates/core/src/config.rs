//! A read-only view over an image's config.

use serde_json::Value;

use crate::{DiffId, Digest, Platform};

/// The fields of an image config that docker-sync reads; the raw bytes are the identity and stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The digest of the raw bytes.
    pub digest: Digest,
    /// `rootfs.diff_ids`, the lowest layer first.
    pub diff_ids: Vec<DiffId>,
    /// `os`, `architecture`, `variant`.
    pub platform: Platform,
    /// `created`, RFC 3339; empty when the config has none.
    pub created: String,
}

/// Bytes that are no image config.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON at all.
    #[error("the image config is not JSON")]
    Json(#[from] serde_json::Error),
    /// JSON, but a field is missing or of another kind.
    #[error("the image config has no usable '{0}'")]
    Field(&'static str),
    /// Not the config that was announced.
    #[error("the image config is {found}, not {expected}")]
    Other {
        /// The digest of the bytes.
        found: Digest,
        /// The digest that was announced.
        expected: Digest,
    },
}

impl Config {
    /// Reads the bytes of a config (OCI image specification, "Image Configuration").
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let json: Value = serde_json::from_slice(bytes)?;
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let diff_ids = match json.pointer("/rootfs/diff_ids") {
            None | Some(Value::Null) => Vec::new(),
            Some(list) => list
                .as_array()
                .and_then(|ids| ids.iter().map(|id| id.as_str()?.parse().ok()).collect())
                .ok_or(ConfigError::Field("rootfs.diff_ids"))?,
        };
        if json.get("rootfs").is_none() {
            return Err(ConfigError::Field("rootfs"));
        }
        let platform =
            Platform { os: text("os"), architecture: text("architecture"), variant: text("variant") };
        Ok(Config { digest: Digest::of(bytes), diff_ids, platform, created: text("created") })
    }

    /// Reads the bytes of the config with this digest.
    pub fn parse_expected(bytes: &[u8], expected: Digest) -> Result<Self, ConfigError> {
        let config = Config::parse(bytes)?;
        match config.digest == expected {
            true => Ok(config),
            false => Err(ConfigError::Other { found: config.digest, expected }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_needs() {
        let id = DiffId::of(b"layer");
        let json = format!(
            r#"{{"architecture":"arm64","os":"linux","variant":"v8","created":"2026-01-02T03:04:05Z","rootfs":{{"type":"layers","diff_ids":["{id}"]}}}}"#
        );
        let config = Config::parse(json.as_bytes()).unwrap();
        assert_eq!(config.digest, Digest::of(json.as_bytes()));
        assert_eq!(config.diff_ids, [id]);
        assert_eq!(config.platform.to_string(), "linux/arm64/v8");
    }

    #[test]
    fn a_config_has_the_digest_that_is_expected() {
        let bytes = br#"{"rootfs":{}}"#;
        let expected = Digest::of(bytes);
        assert_eq!(Config::parse_expected(bytes, expected).unwrap(), Config::parse(bytes).unwrap());
        let other = br#"{"rootfs":{} }"#;
        let error = Config::parse_expected(other, expected).unwrap_err();
        assert_eq!(error.to_string(), format!("the image config is {}, not {expected}", Digest::of(other)));
    }

    #[test]
    fn what_is_no_config_is_an_error() {
        assert!(matches!(Config::parse(b"no"), Err(ConfigError::Json(_))));
        assert!(matches!(Config::parse(b"{}"), Err(ConfigError::Field("rootfs"))));
        let bad = br#"{"rootfs":{"diff_ids":["sha256:12"]}}"#;
        assert!(matches!(Config::parse(bad), Err(ConfigError::Field("rootfs.diff_ids"))));
    }
}
