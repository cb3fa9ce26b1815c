//! Tests of docker-sync are made of this: images and pairs of images, described so that a property test can make and
//! shrink them; stores in files; a model of what a sync must do; and connections that break.
//!
//! Nothing here needs an engine or root, and nothing is part of the program. `docs/testing.md` says how to write a test
//! with it.

mod cable;
mod cases;
mod config;
mod content;
mod digest;
mod files;
pub mod fixed;
mod image;
mod isolated;
mod junk;
mod layer;
mod layout;
mod linked;
mod model;
mod packing;
pub mod pair;
mod saved;
pub mod strategy;

pub use cable::{Cable, End, Fault, FaultKind, Lane, Receiver, Sender};
pub use cases::{Cases, Failed, report};
pub use config::{ConfigSpec, Created, History, Style};
pub use content::{Action, Content, ContentKind, Edit, Random};
pub use digest::sha256;
pub use files::{End as TarEnd, Entry, Form, LayerSpec, Meta, Node, Place};
pub use image::{Built, BuiltImage, Document, ImageSpec, IndexSpec, Item, RootSpec};
pub use isolated::isolated;
pub use junk::Junk;
pub use layer::{Attributes, Layer, LayerBuilder};
pub use layout::{Files, Wrap, add_artifact};
pub use linked::{Machine, linked};
pub use model::{Snapshot, Wanted, What, files, host_platform};
pub use packing::{Packing, unpack};
pub use saved::saved;
