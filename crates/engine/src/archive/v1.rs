//! The names that Docker before 25 gives to layers in its archives.

use std::fmt::Write as _;

use dsync_core::{ChainId, DiffId, Digest};

/// `container_config` of every layer but the top one, as Go prints an empty one.
const NO_CONFIG: &str = concat!(
    r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"#,
    r#""AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"#,
    r#""Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}"#
);

/// The directories of an image's layers in an archive of Docker before 25 (`image/v1/imagev1.go` there), the lowest
/// layer first.
///
/// The name of the top layer covers the config of the image and is left out: the result is one shorter than `diff_ids`.
pub fn v1_ids(diff_ids: &[DiffId]) -> Vec<String> {
    let lower = &diff_ids[..diff_ids.len().saturating_sub(1)];
    let mut ids: Vec<String> = Vec::with_capacity(lower.len());
    for chain in ChainId::chain(lower) {
        let mut json = format!(
            r#"{{"container_config":{NO_CONFIG},"created":"1970-01-01T00:00:00Z","layer_id":"{chain}""#
        );
        if let Some(below) = ids.last() {
            write!(json, r#","parent":"sha256:{below}""#).expect("a String takes any text");
        }
        json.push('}');
        ids.push(Digest::of(json.as_bytes()).hex());
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen in an archive of Docker 20.10.24.
    #[test]
    fn names_are_those_of_a_real_archive() {
        let diff_ids = [
            "sha256:5679550b627aeb1fe816f18f6272a297818807aa5a6f35966a1f69aaf65df2a8",
            "sha256:9b9b8bb6f87c13214c24cb915739c0c7385705b32ee9ccc67e518b9a442d0f0b",
            "sha256:3b51e66d2199ceafaae644f83d01ea69590926cf0ea977225848da3df3a2b950",
            "sha256:d70bcf31b21073800e1b640a348f2d880a24c175a5a8f20146b738efd30a9868",
        ];
        assert_eq!(
            v1_ids(&diff_ids.map(|id| id.parse().unwrap())),
            [
                "2776b8ea9c286d19e56ef450298d4f0600aeeb2d69348addc58cc2dd2f24e968",
                "058d49ad6cb0b5c133f860f02011417d659cfc999580ab2940514853e09c46ac",
                "a511a0b4e607940c0038a88967bf33b8ca40e3fb60f3d3cccd1c778f80bdfa34",
            ]
        );
        assert!(v1_ids(&[]).is_empty());
    }
}
