//! Batches with what a source does to them where it has time: streams that are opened, code that tells addresses.

use dsync_delta::batch::{BatchMethod, Effort, Items};
use dsync_sync::fuzzing::{decode_batch, encode_batch, hear, tell};

use crate::pieces::{joined, parts};
use crate::tars::pairs as tars;
use crate::{Memory, Target};

/// Items are decoded as they were; what a peer says of streams and of code, in valid packing around any bytes, becomes the
/// announced number of bytes, or none; and what is told is heard.
pub(in crate::targets) const PACKED: Target =
    Target { name: "packed", run, memory: Memory { least: 192 << 20, factor: 1 << 10 }, seeds };

/// Streams that were opened, and code: the methods, as the first byte of a batch.
const INFLATED: u8 = BatchMethod::Inflated as u8;
const ABSOLUTE: u8 = BatchMethod::BranchFilter as u8;

fn run(input: &[u8]) {
    let parts = parts(input, 14);
    let [how, said, code, items @ ..] = &parts[..] else { return };
    let how = |at: usize| how.get(at).copied().unwrap_or_default();
    let (old, new) = items.split_at((usize::from(how(1)) % 6).min(items.len()));
    let lens = |items: &[&[u8]]| items.iter().map(|item| item.len() as u64).collect::<Vec<u64>>();
    let (old_lens, new_lens) = (lens(old), lens(new));
    let (old, new) = (old.concat(), new.concat());
    let pairs: Vec<Option<usize>> =
        (0..new_lens.len()).map(|item| Some(item).filter(|item| *item < old_lens.len())).collect();
    let effort = if how(0) & 1 == 0 { Effort::Level(i32::from(how(2)) % 19 + 1) } else { Effort::Max };
    let before = Items { bytes: &old, lens: &old_lens };
    let after = Items { bytes: &new, lens: &new_lens };
    let encoded = encode_batch(before, after, &pairs, effort).expect("memory does not fail");
    match how(0) & 0x80 {
        0 => {
            let decoded = decode_batch(before, &new_lens, &pairs, &encoded);
            assert!(decoded.expect("a batch is decoded where it was encoded") == new, "other bytes");
        }
        _ => {
            let mut packed = Vec::new();
            if how(0) & 2 != 0 {
                let coded =
                    encode_batch(before, Items { bytes: code, lens: &[code.len() as u64] }, &[None], effort);
                let coded = coded.expect("memory does not fail");
                packed = [&[INFLATED][..], &tell(said), &(coded.len() as u32).to_le_bytes(), &coded].concat();
            }
            if how(0) & 4 != 0 {
                packed.push(ABSOLUTE);
                packed.extend(tell(code));
            }
            packed.extend(&encoded);
            let decoded = decode_batch(before, &new_lens, &pairs, &packed).ok();
            assert!(
                decoded.as_ref().is_none_or(|bytes| bytes.len() == new.len()),
                "not as many bytes as announced"
            );
            assert_eq!(decode_batch(before, &new_lens, &pairs, &packed).ok(), decoded);
        }
    }
    let told = [&tell(said)[..], b"next"].concat();
    assert_eq!(hear(&told, said.len() as u64), Some((said.to_vec(), &b"next"[..])));
    assert!(said.is_empty() || hear(&told, said.len() as u64 - 1).is_none());
    // In any bytes.
    if let Some((heard, _)) = hear(code, 1 << 20) {
        assert!(heard.len() <= 1 << 20);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let gzip = |plain: &[u8]| {
        let recipe = dsync_recompress::Recipe::new(
            dsync_recompress::CompressionMethod::Zlib { flavour: dsync_recompress::Flavour::Zlib, level: 6 },
            vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
        );
        let mut blob = Vec::new();
        let recipe = recipe.expect("the header is one");
        dsync_recompress::recreate(&recipe, plain, &mut blob).expect("memory does not fail");
        blob
    };
    // One item, at 0, of a gap, plain bytes and a method; and one stretch of code.
    let streams = [1, 0, 0x80, 0x10, 1, 10, 0x80, 0x0f, 6, 6, 0, 0, 0, 0];
    let code = [1, 4, 200, 1, 0x80, 0x20, 0, 0];
    for (number, (old, new)) in
        tars(7 << 10).into_iter().filter(|(old, _)| !old.is_empty()).take(6).enumerate()
    {
        let how = [[0, 1, 3], [1, 1, 0], [0x86, 1, 3], [0x87, 1, 0]][number % 4];
        seeds.push(joined(&[&how, &streams, &code, &gzip(&old), &gzip(&new), &new]));
    }
    let plain = [b"some plain text".repeat(150), vec![0; 100]].concat();
    seeds.push(joined(&[&[0x82, 0, 9], &streams, &plain, &gzip(&plain)]));
    seeds
}
