//! Images for tests and measurements: made up in memory, or built for real; and the look at what is in one.

mod archive;
mod build;
mod recipe;
mod tree;

pub use archive::{Image, Platform, archive_of, archive_without_index};
pub use build::{archive, get};
pub use dsync_testkit::{Attributes, Layer, LayerBuilder, Machine, linked};
pub use recipe::{Recipe, recipes};
pub use tree::{Node, NodeKind, Tree, export_tree};
