//! The agents that this program brings for the hosts that it is to reach. A developer's build has none.

use dsync_sync::PackedAgent;

/// Those that the build was told of: see build.rs.
pub(crate) const AGENTS: &[PackedAgent] = include!(concat!(env!("OUT_DIR"), "/agents.rs"));
