//! Blobs as real programs left them.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;

use dsync_recompress::{Identification, Reason, Recipe, identify_near};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::sample::sample;
use super::{found, identified, made};

const FIXTURES: [(&str, &str); 15] = [
    ("docker-push.gz", "go6"),
    ("gnu-9.gz", "gnu9"),
    ("gnu-named.gz", "gnu6"),
    ("go1.19-1.gz", "go1"),
    ("go1.27-1.gz", "klauspost-exact1"),
    ("go1.27.gz", "klauspost-exact6"),
    ("klauspost-1.15.gz", "klauspost-full5"),
    ("klauspost-1.19-1.zst", "zstd-1.18-fastest"),
    ("pgzip-new.gz", "pgzip-exact5/1048576"),
    ("pigz-best.gz", "pigz9/131072"),
    ("pigz-named.gz", "pigz6/131072"),
    ("python-6.gz", "zlib6"),
    ("python-9.gz", "zlib9"),
    ("skopeo.gz", "pgzip-full5/1048576"),
    // An older generation made it, of which none of its blocks tells.
    ("skopeo.zst", "zstd-1.18-default/8"),
];

/// Of encoders that are only near.
const NEAR: [(&str, &str); 4] = [
    ("gnu-rsyncable.gz", "zlib6"),
    ("pigz-independent.gz", "zlib6"),
    ("pigz-rsyncable.gz", "zlib6"),
    ("python-flushed.gz", "zlib6"),
];

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn blob(name: &str) -> Vec<u8> {
    fs::read(directory().join(name)).expect("the fixture is there")
}

#[test]
fn blobs_of_real_programs_are_made_again() {
    for (name, method) in FIXTURES {
        let blob = blob(name);
        let (recipe, plain) = identified(&blob);
        assert_eq!(recipe.method().to_string(), method, "{name}");
        let bytes = recipe.to_bytes();
        assert!(bytes.len() < 40, "{name}: {}", bytes.len());
        assert!(made(&Recipe::from_bytes(&bytes).unwrap(), &plain) == blob, "{name}");
    }
}

#[test]
fn what_is_nearly_made_is_corrected() {
    for (name, method) in NEAR {
        let blob = blob(name);
        let (outcome, _) = found(&blob);
        assert!(matches!(outcome, Identification::Unknown(Reason::NoEncoder(_))), "{name} {outcome:?}");
        let Identification::Identified(found) = near(&blob) else { panic!("{name}") };
        assert_eq!(found.recipe.method().to_string(), method, "{name}");
        let mut plain = Vec::new();
        GzDecoder::new(&blob[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(found.plain_len, plain.len() as u64);
        let bytes = found.recipe.to_bytes();
        assert!(bytes.len() < blob.len() / 50, "{name}: {}", bytes.len());
        assert!(made(&Recipe::from_bytes(&bytes).unwrap(), &plain) == blob, "{name}");
    }
}

/// The outcome of identification with corrections.
fn near(blob: &[u8]) -> Identification {
    identify_near(|| Ok(blob)).expect("memory does not fail")
}

#[test]
fn what_is_not_whole_is_not_corrected() {
    let blob = blob("pigz-rsyncable.gz");
    for len in [0, 1, 9, 10, 11, 20_000, blob.len() - 9, blob.len() - 8, blob.len() - 1] {
        assert!(matches!(near(&blob[..len]), Identification::Unknown(_)), "{len}");
    }
    assert_eq!(near(&blob.repeat(2)), Identification::Unknown(Reason::TooFar));
    let mut wrong = blob.clone();
    wrong[blob.len() - 8] ^= 1;
    assert_eq!(near(&wrong), Identification::Unknown(Reason::TooFar));
}

#[test]
fn no_fixture_is_forgotten() {
    let is_blob = |name: &String| name.ends_with(".gz") || name.ends_with(".zst") && name != "zstd-3.zst";
    let mut names: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(is_blob);
    names.sort();
    let mut expected = [FIXTURES.as_slice(), &NEAR].concat();
    expected.sort_unstable();
    assert_eq!(names, expected.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
}

#[test]
fn a_name_and_a_time_in_the_header_are_kept() {
    let (recipe, _) = identified(&blob("gnu-named.gz"));
    assert_eq!(recipe.header()[4..8], 1_700_000_000u32.to_le_bytes());
    assert!(recipe.header().ends_with(b"named.tar\0"));
}

#[test]
fn what_no_encoder_is_known_of_is_told() {
    assert!(matches!(found(&blob("zstd-3.zst")).0, Identification::Unknown(Reason::NoEncoder(1..=131_072))));
    assert_eq!(found(&[0; 1024]).0, Identification::Unknown(Reason::OtherKind));
    assert_eq!(found(&[]).0, Identification::Unknown(Reason::Damaged));
}

#[test]
fn two_streams_are_told_from_one() {
    for name in ["go1.27.gz", "skopeo.zst"] {
        assert_eq!(found(&blob(name).repeat(2)).0, Identification::Unknown(Reason::Trailing), "{name}");
    }
}

#[test]
fn a_cut_blob_is_damaged_wherever_it_is_cut() {
    for name in ["docker-push.gz", "skopeo.zst"] {
        let blob = blob(name);
        for len in [0, 1, 9, 10, 11, 100, 20_000, blob.len() - 9, blob.len() - 8, blob.len() - 1] {
            assert_eq!(found(&blob[..len]).0, Identification::Unknown(Reason::Damaged), "{name} {len}");
        }
    }
}

#[test]
fn a_wrong_checksum_is_damage() {
    for (name, len) in [("docker-push.gz", 8), ("skopeo.zst", 4)] {
        let mut blob = blob(name);
        let crc = blob.len() - len;
        blob[crc] ^= 1;
        assert_eq!(found(&blob).0, Identification::Unknown(Reason::Damaged), "{name}");
    }
}

#[test]
fn what_no_known_encoder_made_is_refused() {
    let plain = sample(400_000);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&plain).expect("memory does not fail");
    let blob = encoder.finish().expect("memory does not fail");
    assert!(matches!(found(&blob).0, Identification::Unknown(Reason::NoEncoder(1..))));
    assert_eq!(near(&blob), Identification::Unknown(Reason::TooFar));
}
