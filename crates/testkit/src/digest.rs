//! Digests as documents write them: computed here, and by nothing of the program under test.

use sha2::{Digest as _, Sha256};

/// `sha256:` and 64 digits.
pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The digits alone, which are the name of a blob's file.
pub(crate) fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}
