//! The way to another host: ssh, the bootstrap of the agent, and how fast the link is.

pub(crate) mod agent_binary;
pub(crate) mod bootstrap;
pub(crate) mod connection;
pub(crate) mod crash;
pub(crate) mod destination;
pub(crate) mod limit;
pub(crate) mod link_speed;
pub(crate) mod ssh;
