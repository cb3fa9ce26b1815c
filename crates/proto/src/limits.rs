//! The limits on everything that the other end sends: more is refused before it takes memory.
//!
//! Sizes that grow with an image are limited by `--memory` instead: see docs/limits.md. The values are part of the protocol
//! where both ends depend on them; otherwise they are beyond every known image.

/// Bytes of noise that a login shell may print before the agent speaks.
pub const NOISE: usize = 64 << 10;

/// Bytes of a data frame: what a relay holds at once.
pub const DATA: usize = 256 << 10;

/// Bytes of a request or a reply: an inventory of 50,000 images.
pub const CONTROL: usize = 16 << 20;

/// Bytes by which a link is measured at once.
pub const PROBE: usize = 1 << 20;

/// Folders of a host that a sync writes to: three, and another for the copies of an engine.
pub const FOLDERS: usize = 16;

/// Bytes of a message between source and target: a question about [`ITEMS`] has 14.7 MB of hashes.
pub const PEER: usize = 16 << 20;

/// Bytes of an event: a remark has a few lines.
pub const EVENT: usize = 16 << 10;

/// Bytes of memory that a message may take when it is decoded. An empty name takes one byte of a frame and 24 of
/// memory, so the length of a frame alone is no limit.
pub const MESSAGE: usize = 64 << 20;

/// Images in a list of another host, those that cannot be read included: the report takes 3 kB of memory for each.
pub const IMAGES: usize = 1 << 16;

/// Layers of an image, and of a basis. Engines stop at 127; an image that is not run there may have more.
pub const LAYERS: usize = 4096;

/// Entries of an account of the bytes that crossed: files and folders, and for each layer all others that changed, and
/// all others that are new.
pub const COSTS: usize = 100 + 2 * LAYERS;

/// Bytes of a layer: 16 TiB.
pub const LAYER: u64 = 1 << 44;

/// Records, and contents, of all layers that are sent: 8 million files. `--memory` mostly is less.
pub const ENTRIES: u64 = 1 << 23;

/// Items of a reconciliation: entries or contents of all layers that are sent, or fine chunks of their literals. Those beyond
/// are not asked about.
pub const ITEMS: usize = 1 << 21;

/// Bytes of one document that an image is made of: a config, a manifest or an index. Registries take at least 4 MiB of
/// a manifest (OCI distribution specification), and JSON takes up to 30 times its length in memory.
pub const DOCUMENT: u64 = 4 << 20;

/// Bytes of all documents of an image: an index names one manifest and one config for each platform.
pub const DOCUMENTS: u64 = 16 << 20;

/// Documents of an image: an index of 1,024 manifests, each with a config.
pub const DOCUMENT_COUNT: usize = 4096;

/// Artifacts beside an image that cross with it: each is a signature, or a list of what is in the image.
pub const REFERRERS: usize = 256;

/// Blobs of one of them: a signature has one for each signer.
pub const REFERRER_BLOBS: usize = 1026;

/// Bytes of all of them: a list of an image's packages has a few megabytes.
pub const REFERRER_BYTES: u64 = 32 << 20;

/// Bytes of all recipes of an offer, each of which has at most 1.1 MiB. A layer without one crosses as it is stored.
pub const RECIPES: usize = 12 << 20;

/// Bytes of a block of a section, before it is packed: the header delta of 100,000 files has one block.
pub const SECTION_BLOCK: usize = 4 << 20;

/// Bytes of the lengths of fine chunk ranges that are sent: two for each.
pub const LENGTHS: u64 = 8 << 20;

/// Bytes of all address maps of executables: some 2 % of their files.
pub const ADDRESS_MAPS: u64 = 32 << 20;

/// Executables with an address map: more than any image has.
pub const ADDRESS_MAP_COUNT: usize = 1 << 16;

/// Bytes of a batch, old and new contents together: the distance at which matches are found. Coding takes up to 10 times
/// as much memory.
pub const BATCH: u32 = 24 << 20;

/// The lowest limit that a source may set for a batch: many small ones cost time.
pub const BATCH_LEAST: u32 = 1 << 20;

/// Bytes of the files in a batch that are coded with plain bytes in place of their deflate streams, old versions
/// included.
pub const INFLATED: usize = 20 << 20;

/// Bytes of the positions of these streams: up to 14 for each, of which [`INFLATED`] bytes have up to 300,000.
pub const STREAMS: u64 = 4 << 20;

/// Bytes of the positions of code in a batch: up to 14 for each range, of which [`BATCH`] bytes have up to 100,000.
pub const CODE: u64 = 2 << 20;

/// Bytes of the head of a patch: 4096 layers and their names have 300 kB.
pub const PATCH_HEAD: u32 = 4 << 20;

/// Characters of the name of a store or of an image, of a time and of a part of a platform; the rest is cut.
pub const NAME: usize = 300;

/// Causes of a failure, each that of the one before; the rest is cut.
pub const CAUSES: usize = 30;

/// Characters of a cause, and of the reason why an image cannot be read. What an engine says is one, whole.
pub const CAUSE: usize = 4_000;

/// Events that come at once while a request is answered. An endpoint sends ten a second while chunks cross, and the
/// others one by one; more end the connection.
pub const EVENT_BURST: u64 = 10_000;

/// Events a second after that.
pub const EVENT_RATE: u64 = 1_000;

/// Keepalives that come at once. An end sends one in each quarter of the timeout; more end the connection.
pub const KEEPALIVE_BURST: u64 = 1_000;

/// Keepalives a second after that.
pub const KEEPALIVE_RATE: u64 = 100;

/// Notes that are shown while a request is answered; an endpoint has some for each image.
pub const NOTES: u32 = 1_000;

/// Characters of a note; the rest is cut.
pub const NOTE: usize = 1_000;

/// Bytes that a remote may still send after it was told to stop: what buffers and a fast link hold.
pub const UNDER_WAY: usize = 256 << 20;

/// Bytes that a frame counts for at least, for [`UNDER_WAY`]. Small ones are no more work to send, and as much to pass on.
pub const FRAME_LEAST: usize = 1 << 10;

/// Frames that wait for a thread: with data frames of 256 KiB, [`QUEUE_BYTES`].
pub const QUEUE_FRAMES: usize = 4;

/// Bytes of the frames that wait; a frame that is larger waits alone.
pub const QUEUE_BYTES: usize = 1 << 20;

/// The most coded bytes of `len` bytes: both methods store incompressible bytes, with a little more.
pub const fn packed(len: u64) -> u64 {
    len + len / 8 + (64 << 10)
}
