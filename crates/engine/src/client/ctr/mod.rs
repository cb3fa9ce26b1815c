//! A containerd without Docker, driven through its own client `ctr`: k3s, RKE2, kubeadm, kind, nerdctl.
//!
//! The client has no lease that it could put blobs under, and no image without a name. So blobs are held by a small blob
//! of this program's own ([`hold`]), and an image that nobody names is named by its digest ([`records`]).

mod blobs;
mod daemon;
mod hold;
mod import;
mod importer;
mod namespace;
mod naming;
mod records;
mod store;

pub(crate) use store::CtrStore;
