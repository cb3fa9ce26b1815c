//! The messages in sections of streams, in batches and at the head of a patch file. As those of
//! [`message`](crate::message) they are encoded by postcard, and their fields are the format.

use serde::{Deserialize, Serialize};

use crate::{ListedImage, budget};

/// The address maps of all old executables of a transfer.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressMaps(#[serde(deserialize_with = "budget::list")] pub Vec<MappedExecutable>);

/// An old executable, and the addresses that it gets.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedExecutable {
    /// The number of the layer among those that both know.
    pub layer: u32,
    /// The first of its chunks.
    pub chunk: u32,
    /// Its address map, encoded: `docs/executables.md`.
    #[serde(deserialize_with = "budget::bytes")]
    pub map: Vec<u8>,
}

/// The inflated items of a batch.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InflatedItems(#[serde(deserialize_with = "budget::list")] pub Vec<InflatedItem>);

/// An item with plain bytes in place of its deflate streams.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InflatedItem {
    /// The number of the new item.
    pub item: u32,
    /// Its bytes, inflated.
    pub len: u64,
    /// Its streams, in their order.
    #[serde(deserialize_with = "budget::list")]
    pub streams: Vec<InflatedStream>,
}

/// A deflate stream of an inflated item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InflatedStream {
    /// Bytes between the stream before and this one.
    pub gap: u64,
    /// Its plain bytes.
    pub plain: u64,
    /// The encoder that makes it again: `docs/recompress.md`.
    pub method: [u8; 6],
}

/// The code of a batch, which goes through the branch filter.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilteredRanges {
    /// In the new items, one after the other.
    #[serde(deserialize_with = "budget::list")]
    pub new: Vec<FilteredRange>,
    /// In the old ones.
    #[serde(deserialize_with = "budget::list")]
    pub old: Vec<FilteredRange>,
}

/// Consecutive bytes of code that go through the branch filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilteredRange {
    /// Bytes between the range before and this one.
    pub gap: u64,
    /// Its bytes.
    pub len: u64,
    /// The address of the first of them.
    pub addr: u32,
    /// The number of the machine: 0 for x86, 1 for aarch64.
    pub machine: u8,
}

/// The head of a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchHead {
    /// The new image; its names are those it gets.
    pub image: ListedImage,
    /// The patch has the documents that the ID of the image is made of, where that is a manifest's or an index's. Its layers
    /// are those of all documents then.
    pub exact: bool,
    /// The layers that are in the patch, from 0 for the lowest.
    #[serde(deserialize_with = "budget::list")]
    pub layers: Vec<u32>,
    /// The other layers that the patch describes as they are stored.
    #[serde(deserialize_with = "budget::list")]
    pub described: Vec<u32>,
    /// The layers of the old image, lowest first.
    #[serde(deserialize_with = "budget::list")]
    pub basis: Vec<[u8; 32]>,
    /// The old image as it was named, for people.
    pub old: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ListedConfig, ListedPlatform, decode, encode};

    #[test]
    fn the_bytes_are_pinned() {
        let map = MappedExecutable { layer: 1, chunk: 300, map: vec![7, 8] };
        assert_eq!(encode(&AddressMaps(vec![map])).unwrap(), [1, 1, 0xac, 2, 2, 7, 8]);

        let stream = InflatedStream { gap: 1, plain: 200, method: [9; 6] };
        let item = InflatedItem { item: 3, len: 4, streams: vec![stream] };
        let expected = [1, 3, 4, 1, 1, 0xc8, 1, 9, 9, 9, 9, 9, 9];
        assert_eq!(encode(&InflatedItems(vec![item])).unwrap(), expected);

        let range = FilteredRange { gap: 1, len: 2, addr: 0x4000, machine: 1 };
        let code = FilteredRanges { new: vec![range], old: Vec::new() };
        assert_eq!(encode(&code).unwrap(), [1, 1, 2, 0x80, 0x80, 1, 1, 0]);
    }

    #[test]
    fn the_head_of_a_patch_is_pinned_and_no_part_of_it_is_one() {
        let image = ListedImage {
            id: [1; 32],
            names: vec!["a:1".into()],
            diff_ids: vec![[2; 32]],
            config: ListedConfig::Id,
            digests: Vec::new(),
            platform: ListedPlatform { os: "linux".into(), architecture: "arm".into(), variant: "v7".into() },
            size: 300,
            created: String::new(),
        };
        let head = PatchHead {
            image,
            exact: true,
            layers: vec![0, 130],
            described: vec![3],
            basis: vec![[4; 32]],
            old: "b:1".into(),
        };
        let bytes = encode(&head).unwrap();
        let rest = [&[1, 2, 0, 0x82, 1, 1, 3, 1][..], &[4; 32], b"\x03b:1"].concat();
        assert_eq!(bytes[bytes.len() - rest.len()..], rest);
        assert_eq!(bytes[..bytes.len() - rest.len()], encode(&head.image).unwrap());
        assert_eq!(decode::<PatchHead>(&bytes).unwrap(), head);
        for end in 0..bytes.len() {
            assert!(decode::<PatchHead>(&bytes[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn a_section_of_more_than_was_announced_is_none() {
        let maps = |bytes: &[u8]| decode::<AddressMaps>(bytes).is_ok();
        assert!(maps(&[0]) && maps(&[1, 1, 1, 0]));
        assert!(!maps(&[]) && !maps(&[2, 1, 1, 0]) && !maps(&[1, 1, 1, 0, 0]) && !maps(&[1, 1, 1, 1]));
        let code = |bytes: &[u8]| decode::<FilteredRanges>(bytes).is_ok();
        assert!(code(&[0, 0]) && code(&[0, 1, 1, 2, 3, 1]));
        assert!(!code(&[0]) && !code(&[1, 1, 2, 3, 1]) && !code(&[0, 0, 0]));
        // Numbers of 64 bits, and none of more.
        let item = |number: &[u8]| decode::<InflatedItems>(&[&[1, 0][..], number, &[0]].concat());
        let most = [&[0xff; 9][..], &[1]].concat();
        assert_eq!(item(&most).unwrap().0[0].len, u64::MAX);
        assert!(item(&[&[0xff; 9][..], &[2]].concat()).is_err());
    }
}
