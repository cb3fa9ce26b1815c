//! SHA-256 digests, one type for each thing that is digested, so that they cannot be mixed up.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A text that is not `sha256:` and 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a digest: expected sha256: and 64 hex digits")]
pub struct DigestError(String);

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The digest of these bytes.
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }

            /// The value of a digest that was computed elsewhere.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// 64 lower-case hex digits, without the `sha256:`.
            pub fn hex(&self) -> String {
                hex(&self.0)
            }

            /// The first 12 hex digits, as `docker images` shows them.
            pub fn short(&self) -> String {
                hex(&self.0[..6])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "sha256:{}", self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            /// Takes `sha256:HEX` or the bare 64 hex digits, which podman prints.
            fn from_str(text: &str) -> Result<Self, DigestError> {
                parse(text).map(Self).ok_or_else(|| DigestError(text.chars().take(100).collect()))
            }
        }
    };
}

digest_type! {
    /// The digest of bytes as they lie there: of a config, a manifest, a blob, or whatever a layer is read as.
    Digest
}
digest_type! {
    /// The digest of a layer's uncompressed tar: what makes two layers the same layer.
    DiffId
}
digest_type! {
    /// The digest of a layer together with all layers below it; Docker's classic store keeps layers by it.
    ChainId
}
digest_type! {
    /// The image ID that an engine shows: the digest of the config, or of a manifest or an index.
    ImageId
}

impl DiffId {
    /// The digest of the bytes of the tar, which has the same value.
    pub const fn digest(&self) -> Digest {
        Digest(self.0)
    }
}

impl ImageId {
    /// The digest of the document that names the image, which has the same value.
    pub const fn digest(&self) -> Digest {
        Digest(self.0)
    }
}

impl From<Digest> for ImageId {
    /// The ID of an image that is named by a config, a manifest or an index with this digest.
    fn from(document: Digest) -> Self {
        Self(document.0)
    }
}

/// Names the bytes of a layer: those of the uncompressed tar, or of the blob as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerKey {
    /// The uncompressed tar.
    Tar(DiffId),
    /// The blob as it is stored, compressed or not.
    Blob(Digest),
}

impl LayerKey {
    /// The digest of the bytes, of either kind.
    pub const fn digest(&self) -> Digest {
        match self {
            Self::Tar(diff_id) => diff_id.digest(),
            Self::Blob(digest) => *digest,
        }
    }
}

impl From<DiffId> for LayerKey {
    fn from(diff_id: DiffId) -> Self {
        Self::Tar(diff_id)
    }
}

impl fmt::Display for LayerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest().fmt(f)
    }
}

impl ChainId {
    /// The chain ids of a stack of layers, the lowest first.
    ///
    /// The rule is that of the OCI image specification, "Layer ChainID": the lowest layer's is its diff
    /// id, every other one's is the digest of `<chain id below> <diff id>`.
    pub fn chain(diff_ids: &[DiffId]) -> Vec<ChainId> {
        let mut chain: Vec<ChainId> = Vec::with_capacity(diff_ids.len());
        for diff_id in diff_ids {
            chain.push(match chain.last() {
                None => ChainId(*diff_id.as_bytes()),
                Some(below) => ChainId::of(format!("{below} {diff_id}").as_bytes()),
            });
        }
        chain
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char])
        .collect()
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_round_trips() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
        assert_eq!(EMPTY["sha256:".len()..].parse(), Ok(Digest::of(b"")));
        assert_eq!(Digest::of(b"").short(), "e3b0c44298fc");
    }

    #[test]
    fn the_bytes_of_a_layer_have_one_digest_and_two_keys() {
        let diff_id = DiffId::of(b"layer");
        let (tar, blob) = (LayerKey::from(diff_id), LayerKey::Blob(diff_id.digest()));
        assert_ne!(tar, blob);
        assert_eq!((tar.digest(), tar.to_string()), (blob.digest(), blob.to_string()));
        assert_eq!(tar.digest(), Digest::of(b"layer"));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in ["", "sha256:", "sha256:E3", &EMPTY[..70], &EMPTY.to_uppercase(), "sha512:00", "é"] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn chain_follows_the_specification() {
        let low = DiffId::of(b"low");
        let high = DiffId::of(b"high");
        let chain = ChainId::chain(&[low, high]);
        assert_eq!(chain[0].as_bytes(), low.as_bytes());
        assert_eq!(chain[1], ChainId::of(format!("{low} {high}").as_bytes()));
        assert!(ChainId::chain(&[]).is_empty());
    }
}
